"""What a model's answers to every (image, number) pair are worth.

Knows no TensorFlow. All that is counted of a model, for a table, a file or a
picture, is counted here, from the same `Answers`.
"""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from keras_mnist_sum import task

_BINS = 15


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

    def title(self) -> str:
        """The accuracies in a line."""
        shares = ", ".join(
            f"{name} {100 * share:.2f} %"
            for name, share in self.accuracy().items()
        )
        return f"{shares} right of {self.pairs:,} test pairs"

    def rows(self) -> list[tuple[str, int, str]]:
        """For each output, for all three and for contradictory answers: a
        name, a count of pairs, and how large the error is, in words."""
        errors = {
            **{
                name: f"calibration error {100 * error:.2f} %"
                for name, error in self.calibration_error.items()
            },
            **{
                name: f"mean absolute error {error:.3f}"
                for name, error in self.mean_absolute_error.items()
            },
        }
        counts = {
            **self.correct,
            "all three": self.all_correct,
            "contradictory": self.contradictory,
        }
        return [
            (name, count, errors.get(name, ""))
            for name, count in counts.items()
        ]

    def table(self) -> str:
        """A table for a person."""
        lines = [f"{'output':<14}{'right':>10}{'of':>10}{'accuracy':>11}"]
        lines += [
            f"{name:<14}{count:>10,}{self.pairs:>10,}"
            f"{100 * count / self.pairs:>9.2f} %   {error}".rstrip()
            for name, count, error in self.rows()
        ]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Bins:
    """Answers of one output, in 15 bins of confidence of equal width.

    Attributes:
        count: float64 `(15,)`: the answers in each bin.
        confidence: float64 `(15,)`: the sum of their confidences.
        right: float64 `(15,)`: how many of them are right.
    """

    count: np.ndarray
    confidence: np.ndarray
    right: np.ndarray

    def error(self) -> float:
        """The expected calibration error, 0-1."""
        gaps = np.abs(self.confidence - self.right)
        return float(gaps.sum() / self.count.sum())


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's answers to every image of a test set with every number 0-9.

    Attributes:
        images: uint8 array of shape `(images, 28, 28)`.
        labels: Integer array of shape `(images,)`.
        difference: Which difference the model computes.
        predictions: By output, float array of shape `(images, 10, classes)`,
            probabilities, or `(images, 10, 1)`, values.
    """

    images: np.ndarray
    labels: np.ndarray
    difference: str
    predictions: dict[str, np.ndarray]

    @cached_property
    def outputs(self) -> dict[str, task.Output]:
        return task.outputs(self.difference)

    @cached_property
    def given(self) -> dict[str, np.ndarray]:
        """By output, int64 `(images, 10)`: the integers answered."""
        return {
            name: output.answers(self.predictions[name])
            for name, output in self.outputs.items()
        }

    @cached_property
    def true(self) -> dict[str, np.ndarray]:
        """By output, int64 `(images, 10)`: the right answers."""
        return {
            name: output.truth[self.labels]
            for name, output in self.outputs.items()
        }

    @cached_property
    def right(self) -> dict[str, np.ndarray]:
        """By output, bool `(images, 10)`: which answers are right."""
        return {
            name: self.given[name] == self.true[name] for name in self.outputs
        }

    @cached_property
    def all_right(self) -> np.ndarray:
        """bool `(images, 10)`: for which pairs all three answers are right."""
        return np.all(list(self.right.values()), axis=0)

    @cached_property
    def confidence(self) -> dict[str, np.ndarray]:
        """By output that is a distribution, float `(images, 10)`: the
        probability of the answer."""
        return {
            name: self.predictions[name].max(axis=-1)
            for name in self.outputs
            if self.predictions[name].shape[-1] > 1
        }

    @cached_property
    def errors(self) -> dict[str, np.ndarray]:
        """By output that is a value, float64 `(images, 10)`: how far it is
        above the right answer."""
        return {
            name: self.predictions[name][..., 0] - self.true[name]
            for name in self.outputs
            if name not in self.confidence
        }

    @cached_property
    def evaluation(self) -> Evaluation:
        """The counts."""
        number = np.arange(task.NUM_DIGITS)
        implied = [
            self.given[name] == output.truth[self.given["digit"], number]
            for name, output in self.outputs.items()
        ]
        return Evaluation(
            images=len(self.labels),
            pairs=self.all_right.size,
            correct={
                name: int(right.sum()) for name, right in self.right.items()
            },
            all_correct=int(self.all_right.sum()),
            contradictory=int((~np.all(implied, axis=0)).sum()),
            calibration_error={
                name: self.bins(name).error() for name in self.confidence
            },
            mean_absolute_error={
                name: float(np.abs(error).mean())
                for name, error in self.errors.items()
            },
        )

    def bins(self, name: str) -> Bins:
        """Confidence beside accuracy, of an output that is a distribution."""
        confidence = self.confidence[name].ravel().astype("float64")
        # What is no number is in the first bin, and its error no number.
        place = (np.nan_to_num(confidence) * _BINS).astype(int)
        place = place.clip(0, _BINS - 1)
        count, total, right = (
            np.bincount(place, weights, _BINS)
            for weights in (None, confidence, self.right[name].ravel())
        )
        return Bins(count.astype("float64"), total, right)

    def confusion(self, name: str) -> np.ndarray:
        """Counts of pairs by right answer and answer given.

        Returns:
            An int64 array of shape `(classes, classes + 1)`: rows are right
            answers, columns what was answered, in the order of the output's
            values; the last column is for what is none of them.
        """
        values = np.array(self.outputs[name].values)
        size = len(values)
        given = self.given[name] - values[0]
        given = np.where((given >= 0) & (given < size), given, size)
        cell = (self.true[name] - values[0]) * (size + 1) + given
        counts = np.bincount(cell.ravel(), minlength=size * (size + 1))
        return counts.reshape(size, size + 1)

    def share_right(self, right: np.ndarray) -> np.ndarray:
        """Of `right`, bool `(images, 10)`, the share, 0-1, by true digit and
        number: float64 `(10, 10)`, NaN for a digit that has no image."""
        shares = np.full((task.NUM_DIGITS, task.NUM_DIGITS), np.nan)
        for digit in np.unique(self.labels):
            shares[digit] = right[self.labels == digit].mean(axis=0)
        return shares

    def most_common(self, name: str) -> np.ndarray:
        """The answer given most often, by true digit and number: float64
        `(10, 10)`, NaN for a digit that has no image."""
        answers = np.full((task.NUM_DIGITS, task.NUM_DIGITS), np.nan)
        for digit in np.unique(self.labels):
            for number in range(task.NUM_DIGITS):
                given = self.given[name][self.labels == digit, number]
                values, counts = np.unique(given, return_counts=True)
                answers[digit, number] = values[counts.argmax()]
        return answers
