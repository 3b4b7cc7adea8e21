"""Exact counts over every (image, number) pair of a test set."""

import dataclasses
import json
from collections.abc import Callable
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import keras
import numpy as np

from keras_mnist_sum import task
from keras_mnist_sum.models import learned_tables
from keras_mnist_sum.sources import check_examples

# What evaluation asks of a model: from float32 images `(batch, 28, 28, 1)` in
# 0-1 to predictions of each output with each number 0-9, `(batch, 10, classes)`
# of probabilities or `(batch, 10, 1)` of values.
Answerer = Callable[[np.ndarray], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Evaluation:
    """What a model got right, out of `pairs` (image, number) pairs.

    Attributes:
        images: Number of test images.
        pairs: Number of pairs: every image with each of the ten numbers.
        correct: Pairs with the right answer, for each output.
        all_correct: Pairs with all answers right.
        contradictory: Pairs whose answers cannot all be true: the sum or the
            difference is not that of the answered digit and the number.
        calibration_error: Expected calibration error, 0-1, of each output
            that is a distribution: how far its confidence is from its
            accuracy, averaged over pairs (Guo et al., 2017,
            https://arxiv.org/abs/1706.04599, with 15 bins of equal width).
        mean_absolute_error: Of each output that is a value.
    """

    images: int
    pairs: int
    correct: dict[str, int]
    all_correct: int
    contradictory: int
    calibration_error: dict[str, float]
    mean_absolute_error: dict[str, float]

    def accuracy(self) -> dict[str, float]:
        """Share of right answers, 0-1, of each output and of `all`."""
        shares = {name: n / self.pairs for name, n in self.correct.items()}
        return {**shares, "all": self.all_correct / self.pairs}

    def to_dict(self) -> dict:
        """The counts and accuracies, ready for JSON."""
        return {**dataclasses.asdict(self), "accuracy": self.accuracy()}

    def table(self) -> str:
        """A table for a person."""
        errors = {
            **{
                name: f"   calibration error {100 * error:.2f} %"
                for name, error in self.calibration_error.items()
            },
            **{
                name: f"   mean absolute error {error:.3f}"
                for name, error in self.mean_absolute_error.items()
            },
        }
        rows = {
            **self.correct,
            "all three": self.all_correct,
            "contradictory": self.contradictory,
        }
        lines = [f"{'output':<14}{'right':>10}{'of':>10}{'accuracy':>11}"]
        lines += [
            f"{name:<14}{count:>10,}{self.pairs:>10,}"
            f"{100 * count / self.pairs:>9.2f} %{errors.get(name, '')}"
            for name, count in rows.items()
        ]
        return "\n".join(lines)


def evaluate(
    answerer: Answerer,
    images: np.ndarray,
    labels: np.ndarray,
    difference: str = "absolute",
    batch_size: int = 500,
) -> Evaluation:
    """Scores every image with every number 0-9; none is dropped or sampled.

    Args:
        answerer: The model, through `answerer_of_model` or
            `answerer_of_pairs`.
        images: uint8 array of shape `(examples, 28, 28)`.
        labels: Integer array of shape `(examples,)`.
        difference: Which difference the model computes.
        batch_size: Images in one call of `answerer`.

    Returns:
        The counts.

    Raises:
        InputError: If the arrays are not MNIST-like.
    """
    check_examples(images, labels)
    outputs = task.outputs(difference)
    number = np.arange(task.NUM_DIGITS)
    correct = dict.fromkeys(outputs, 0)
    calibration: dict[str, _Calibration] = {}
    errors: dict[str, float] = {}
    all_correct = contradictory = 0
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size, ..., np.newaxis]
        digit = labels[start : start + batch_size, np.newaxis]
        predictions = answerer(batch / np.float32(255))
        answers = {
            name: output.answers(predictions[name])
            for name, output in outputs.items()
        }  # (batch, 10) each
        right, implied = [], []
        for name, output in outputs.items():
            right.append(answers[name] == output.truth[digit, number])
            implied.append(
                answers[name] == output.truth[answers["digit"], number]
            )
            correct[name] += int(right[-1].sum())
            if predictions[name].shape[-1] > 1:
                bins = calibration.setdefault(name, _Calibration())
                bins.add(predictions[name].max(axis=-1), right[-1])
            else:
                value = predictions[name][..., 0].astype("float64")
                error = np.abs(value - output.truth[digit, number]).sum()
                errors[name] = errors.get(name, 0.0) + float(error)
        all_correct += int(np.all(right, axis=0).sum())
        contradictory += int((~np.all(implied, axis=0)).sum())
    return Evaluation(
        images=len(images),
        pairs=len(images) * task.NUM_DIGITS,
        correct=correct,
        all_correct=all_correct,
        contradictory=contradictory,
        calibration_error={
            name: bins.error() for name, bins in calibration.items()
        },
        mean_absolute_error={
            name: error / (len(images) * task.NUM_DIGITS)
            for name, error in errors.items()
        },
    )


class _Calibration:
    """Sums confidence and right answers in bins of confidence."""

    def __init__(self, bins: int = 15):
        self.confidence, self.right = np.zeros(bins), np.zeros(bins)
        self.count = 0

    def add(self, confidence: np.ndarray, right: np.ndarray) -> None:
        bins = len(self.right)
        confidence = np.ravel(confidence).astype("float64")
        place = np.clip((confidence * bins).astype(int), 0, bins - 1)
        self.confidence += np.bincount(place, confidence, bins)
        self.right += np.bincount(place, np.ravel(right), bins)
        self.count += len(place)

    def error(self) -> float:
        gaps = np.abs(self.confidence - self.right)
        return float(gaps.sum() / self.count)


def answerer_of_pairs(
    predict: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]],
) -> Answerer:
    """Makes an `Answerer` of anything that keeps the model's contract.

    Each image is sent with each of the ten numbers, so this works on every
    model and costs ten times what the image's part of it needs.

    Args:
        predict: Takes `image` and `number`, gives the outputs, by name. It is
            called from several threads at once.
    """

    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        def ask(one_hot: np.ndarray) -> Mapping[str, np.ndarray]:
            numbers = np.tile(one_hot, (len(images), 1))
            return predict({"image": images, "number": numbers})

        # Side by side: one call alone keeps no two cores busy.
        with ThreadPoolExecutor(max_workers=4) as pool:
            one_hots = np.eye(task.NUM_DIGITS, dtype="float32")
            answers = list(pool.map(ask, one_hots))
        return {
            name: np.stack([each[name] for each in answers], axis=1)
            for name in answers[0]
        }

    return answer


def answerer_of_model(model: keras.Model) -> Answerer:
    """Makes an `Answerer` of a functional model, computing what depends on
    the image alone once for the ten numbers.

    The model is cut where the number first meets tensors of the image; the
    answers are those of the whole model. One that cannot be cut so (it shares
    a layer between both sides, say) is asked pair by pair.
    """
    try:
        trunk, head = _cut(model)
    except ValueError:  # Keras checks that both parts are whole graphs.
        return answerer_of_pairs(model.predict_on_batch)
    one_hot = np.eye(task.NUM_DIGITS, dtype="float32")

    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        count, repeats = len(images), task.NUM_DIGITS
        first = trunk.predict_on_batch(images)
        rows = [np.repeat(x, repeats, axis=0) for x in first["cut"]]
        second = head.predict_on_batch([*rows, np.tile(one_hot, (count, 1))])
        return {
            **{
                name: np.repeat(x[:, np.newaxis], repeats, axis=1)
                for name, x in first["outputs"].items()
            },
            **{
                name: np.reshape(x, (count, repeats, -1))
                for name, x in second.items()
            },
        }

    return answer


def _cut(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The part of `model` before the number comes in, and the part after."""
    number = model.input["number"]
    depends, cut = {id(number)}, {}
    for operation in model.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        inputs = keras.tree.flatten(operation.input)
        if any(id(x) in depends for x in inputs):
            depends.update(id(x) for x in keras.tree.flatten(operation.output))
            cut.update({id(x): x for x in inputs if id(x) not in depends})
    of_image = {
        name: x for name, x in model.output.items() if id(x) not in depends
    }
    of_both = {name: x for name, x in model.output.items() if id(x) in depends}
    trunk = keras.Model(
        model.input["image"], {"cut": list(cut.values()), "outputs": of_image}
    )
    return trunk, keras.Model([*cut.values(), number], of_both)


def table_cells_right(model: keras.Model, difference: str) -> dict[str, int]:
    """How many of the 100 cells of each learned table are right.

    Args:
        model: A model; heads without a learned table are passed over.
        difference: Which difference it was trained for.

    Returns:
        For each output with a learned table, the number of (digit, number)
        pairs whose most likely class is the true one.
    """
    outputs = task.outputs(difference)
    return {
        name: int((table.argmax(axis=-1) == outputs[name].table).sum())
        for name, table in learned_tables(model).items()
    }


def to_json(report: dict) -> str:
    return json.dumps(report, indent=2) + "\n"
