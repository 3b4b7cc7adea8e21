"""Writes `history.csv`, a row an epoch, and `steps.csv`, a row some steps."""

import csv
import io
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import keras

from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.training.state import RunState
from keras_mnist_sum.training.state import learning_rate
from keras_mnist_sum.utils.atomic_files import write_text

POINTS = 200  # of a whole run, within its epochs


class WriteHistory(keras.callbacks.Callback):
    """Adds a row to `state.history` after each epoch and a point to
    `state.points` every few steps, and writes all of them.

    A row has `epoch`, `step`, `seconds`, `learning_rate` and what Keras logs,
    with what other callbacks added to that. A point has of what Keras logs what
    is a mean over the steps of the epoch so far. There are some `POINTS`, and
    one at the end of each epoch.

    Args:
        run: Where to write; `None` writes nothing.
        state: Where the run is.
        outputs: Those of the model.
        metrics: What the logs call the user's own, and whether each is a mean
            over examples.
    """

    def __init__(
        self,
        *,
        run: Run | None,
        state: RunState,
        outputs: Iterable[str],
        metrics: Mapping[str, bool],
    ) -> None:
        super().__init__()
        self.run = run
        self.state = state
        self.spacing = -(-state.steps // POINTS)
        self.means = {"loss"}
        for name in outputs:
            self.means |= {f"{name}_{x}" for x in ("loss", "accuracy", "mae")}
        self.means |= {name for name, is_mean in metrics.items() if is_mean}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        state = self.state
        is_last = state.ends_epoch or self.model.stop_training
        if is_last or state.step % self.spacing == 0:
            self._add_point(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        points = self.state.points
        # Another worker may have stopped the training after this step.
        if not points or points[-1]["step"] != self.state.step:
            self._add_point(logs)
        self.state.tick()
        row = {
            "epoch": epoch + 1,
            "step": self.state.step,
            "seconds": round(self.state.seconds, 2),
            "learning_rate": learning_rate(self.model),
        }
        for name, value in logs.items():
            row.setdefault(name, float(value))
        self.state.history.append(row)
        if self.run:
            write_text(self.run.history, _to_csv(self.state.history))
            steps = means_between(self.state.points)
            for mean in steps:
                mean.pop("learning_rate", None)
            write_text(self.run.steps, _to_csv(steps))

    def _add_point(self, logs: dict[str, Any]) -> None:
        # Callbacks of the user may log anything.
        point: dict[str, float] = {
            name: value
            for name, value in logs.items()
            if name in self.means and isinstance(value, float)
        }
        point |= {"step": self.state.step, "done": self.state.steps_in_epoch}
        self.state.points.append(point)


def means_between(points: list[dict[str, float]]) -> list[dict[str, float]]:
    """Means over the steps between points, from means since an epoch began.

    Batches are of one size, so that the mean over all of them is the mean of
    their means.

    Args:
        points: For each, `step`, `done` (steps of its epoch) and means over
            the epoch so far; `learning_rate`, if it is there, is none.

    Returns:
        For each, `step`, the means over the steps since the one before, and
        its `learning_rate`.
    """
    means, before = [], dict[str, float]()
    for point in points:
        if point["step"] - point["done"] >= before.get("step", 0):
            before = {}  # An epoch began.
        done = before.get("done", 0)
        mean = {"step": point["step"]}
        for name, value in point.items():
            total = value * point["done"] - before.get(name, 0) * done
            mean.setdefault(name, total / (point["done"] - done))
            output = name.removesuffix("_accuracy")
            if output != name and f"{output}_loss" in point:
                # Rounded, it may be above 1.
                mean[name] = min(max(mean[name], 0.0), 1.0)
        del mean["done"]
        if "learning_rate" in point:
            mean["learning_rate"] = point["learning_rate"]
        means.append(mean)
        before = point
    return means


def _to_csv(rows: list[dict[str, Any]]) -> str:
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), "nan", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
