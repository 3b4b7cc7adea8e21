"""What `train` returns."""

import dataclasses
from typing import Any

from keras_mnist_sum.evaluation.scores import Scores

_FIELDS = [field.name for field in dataclasses.fields(Scores)]


class Results(dict[str, Any]):
    """What a run's `results.json` holds, with names for the main things.

    It is a dict, ready for JSON: the counts of the test set, as
    `Scores.to_dict` has them, beside

    - `data`: what was trained and tested on, in words;
    - `data_sha256`: the SHA-256 of the `training` and the `test` arrays;
    - `validation`: the same counts for the images that were held out of the
      training set, or `None` where there are none;
    - `table_cells_right`: the right cells, of 100, of each learned table;
    - `parameters`, `multiply_adds` of an image, `steps` really taken, `epochs`,
      and `training_seconds`;
    - of a run with teachers, `distillation_weight`, `teachers` (of each its
      `path`, `sha256` and `training_seconds`, with those of its own teachers,
      or `None` where one is no run) and `training_seconds_with_teachers`, of
      all together.

    Choose between runs by `validation`, so that the test set stays unseen.

    Example:

    >>> results = train("fast", "runs/fast")
    >>> results.test.accuracy()["sum"] == results["accuracy"]["sum"]
    True
    """

    @property
    def test(self) -> Scores:
        """How well the model does on the test set."""
        return _scores(self)

    @property
    def validation(self) -> Scores | None:
        """How well it does on the images held out of training, if any."""
        found = self.get("validation")
        return _scores(found) if found else None

    @property
    def accuracy(self) -> dict[str, float]:
        """Share of right answers, 0-1, on the test set: of each output, and of
        `all` together."""
        return self["accuracy"]

    @property
    def steps(self) -> int:
        """Optimizer steps really taken."""
        return self["steps"]

    @property
    def epochs(self) -> float:
        """Passes over the training images really made."""
        return self["epochs"]

    @property
    def training_seconds(self) -> float:
        """Seconds that training took, without scoring."""
        return self["training_seconds"]


def _scores(values: dict[str, Any]) -> Scores:
    # A measure that came later is missing in results of before.
    known = {name: values.get(name, {}) for name in _FIELDS}
    ends = known["interval"].items()
    known["interval"] = {name: tuple(both) for name, both in ends}
    return Scores(**known)
