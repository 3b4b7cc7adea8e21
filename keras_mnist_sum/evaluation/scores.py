"""Exact counts of a model's predictions for every (image, number) pair.

Knows no TensorFlow. All that is counted of a model, for a table, a file or a
picture, is counted here, from the same `Predictions`.
"""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from keras_mnist_sum.evaluation.statistics import Bins
from keras_mnist_sum.evaluation.statistics import interval_over_images
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task

_BINS = 15
_LEAST = np.finfo("float32").tiny  # probability that a logarithm is taken of


@dataclass(frozen=True)
class Scores:
    """What a model got right, out of `pairs` (image, number) pairs.

    Attributes:
        images: Number of test images.
        pairs: Number of pairs: every image with each of the ten numbers.
        correct: Pairs with the right prediction, for each output.
        all_correct: Pairs with all predictions right.
        contradictory: Pairs whose predictions cannot all be right: the sum, for
            example, is not that of the predicted digit and the number.
        calibration_error: Expected calibration error, 0-1, of each output
            that is a distribution: how far its confidence is from its
            accuracy, averaged over pairs (Guo et al., 2017,
            https://arxiv.org/abs/1706.04599, with 15 bins of equal width).
        negative_log_likelihood: Of each output that is a distribution, in nats:
            the mean of -log p(label).
        brier_score: Of each output that is a distribution, 0-2: the mean
            squared distance to the one-hot label (Brier, 1950).
        mean_absolute_error: Of each output that is a value.
        interval: Of each accuracy that `accuracy` has, 0-1: a 95 % interval
            for other images of the same kind, as `interval_over_images` has it.
    """

    images: int
    pairs: int
    correct: dict[str, int]
    all_correct: int
    contradictory: int
    calibration_error: dict[str, float]
    negative_log_likelihood: dict[str, float]
    brier_score: dict[str, float]
    mean_absolute_error: dict[str, float]
    interval: dict[str, tuple[float, float]]

    def accuracy(self) -> dict[str, float]:
        """Share of right predictions, 0-1, of each output and of `all`."""
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
        """For each output, for all and for contradictory predictions: a
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
            "all": self.all_correct,
            "contradictory": self.contradictory,
        }
        return [
            (name, count, errors.get(name, ""))
            for name, count in counts.items()
        ]

    def table(self) -> str:
        """A table for a person, of lines that fit a terminal."""
        lines = [
            f"{f'of {self.pairs:,} pairs':<17}{'right':>8}{'accuracy':>10}"
            f"{'95 % interval':>17}"
        ]
        for name, count, error in self.rows():
            low, high = self.interval.get(name, (np.nan, np.nan))
            interval = f"{100 * low:.2f} to {100 * high:.2f}"
            lines.append(
                f"{name:<17}{count:>8,}{100 * count / self.pairs:>8.2f} %"
                f"{interval if name in self.interval else '':>17}  {error}"
            )
        return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's predictions for every image of a test set with every number.

    Attributes:
        images: uint8 array of shape `(images, 28, 28)`.
        digits: Integer array of shape `(images,)`, the label of each image.
        task: What the model computes.
        outputs: By output, float array of shape `(images, 10, classes)`,
            probabilities, or `(images, 10, 1)`, values.
    """

    images: np.ndarray
    digits: np.ndarray
    task: Task
    outputs: dict[str, np.ndarray]

    @cached_property
    def predicted(self) -> dict[str, np.ndarray]:
        """By output, int64 `(images, 10)`: the integers predicted."""
        return {
            name: output.decode(self.outputs[name])
            for name, output in self.task.items()
        }

    @cached_property
    def labels(self) -> dict[str, np.ndarray]:
        """By output, int64 `(images, 10)`: the integers that are right."""
        return {
            name: output.pair_values[self.digits]
            for name, output in self.task.items()
        }

    @cached_property
    def correct(self) -> dict[str, np.ndarray]:
        """By output, bool `(images, 10)`: which predictions are right."""
        return {
            name: self.predicted[name] == self.labels[name]
            for name in self.task
        }

    @cached_property
    def all_correct(self) -> np.ndarray:
        """bool `(images, 10)`: for which pairs all predictions are right."""
        return np.all(list(self.correct.values()), axis=0)

    @property
    def correct_and_all(self) -> dict[str, np.ndarray]:
        """`correct`, and `all_correct` under the name `all`."""
        return {**self.correct, "all": self.all_correct}

    @cached_property
    def confidence(self) -> dict[str, np.ndarray]:
        """By output that is a distribution, float `(images, 10)`: the
        probability of what is predicted."""
        return {
            name: self.outputs[name].max(axis=-1)
            for name in self.task
            if self.outputs[name].shape[-1] > 1
        }

    @cached_property
    def label_probability(self) -> dict[str, np.ndarray]:
        """By output that is a distribution, float64 `(images, 10)`: the
        probability of the label."""
        found = {}
        for name in self.confidence:
            values = np.array(self.task[name].values)
            classes = np.searchsorted(values, self.labels[name])[..., None]
            picked = np.take_along_axis(self.outputs[name], classes, axis=-1)
            found[name] = picked[..., 0].astype("float64")
        return found

    @cached_property
    def errors(self) -> dict[str, np.ndarray]:
        """By output that is a value, float64 `(images, 10)`: how far it is
        above the label."""
        return {
            name: self.outputs[name][..., 0] - self.labels[name]
            for name in self.task
            if name not in self.confidence
        }

    @cached_property
    def scores(self) -> Scores:
        """The counts."""
        number = np.arange(NUM_DIGITS)
        implied = [
            self.predicted[name]
            == output.pair_values[self.predicted["digit"], number]
            for name, output in self.task.items()
        ]
        return Scores(
            images=len(self.digits),
            pairs=self.all_correct.size,
            correct={
                name: int(correct.sum())
                for name, correct in self.correct.items()
            },
            all_correct=int(self.all_correct.sum()),
            contradictory=int((~np.all(implied, axis=0)).sum()),
            calibration_error={
                name: self.bins(name).error() for name in self.confidence
            },
            negative_log_likelihood={
                name: float(-np.log(p.clip(_LEAST)).mean())
                for name, p in self.label_probability.items()
            },
            brier_score={
                name: float(
                    ((self.outputs[name] ** 2).sum(axis=-1) - 2 * p + 1).mean()
                )
                for name, p in self.label_probability.items()
            },
            mean_absolute_error={
                name: float(np.abs(error).mean())
                for name, error in self.errors.items()
            },
            interval={
                name: interval_over_images(correct)
                for name, correct in self.correct_and_all.items()
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
            for weights in (None, confidence, self.correct[name].ravel())
        )
        image = np.arange(place.size) // NUM_DIGITS
        seen = np.unique(place * np.int64(place.size) + image)
        images = np.bincount(seen // place.size, minlength=_BINS)
        return Bins(count.astype("float64"), total, right, images)

    def confusion(self, name: str) -> np.ndarray:
        """Counts of pairs by label and prediction.

        Returns:
            An int64 array of shape `(classes, classes + 1)`: rows are labels,
            columns what was predicted, in the order of the output's values;
            the last column is for what is none of them.
        """
        values = np.array(self.task[name].values)
        size = len(values)
        rows = np.searchsorted(values, self.labels[name])
        columns = np.searchsorted(values, self.predicted[name]).clip(
            0, size - 1
        )
        known = values[columns] == self.predicted[name]
        cells = rows * (size + 1) + np.where(known, columns, size)
        counts = np.bincount(cells.ravel(), minlength=size * (size + 1))
        return counts.reshape(size, size + 1)

    def share_correct(self, correct: np.ndarray) -> np.ndarray:
        """Of `correct`, bool `(images, 10)`, the share, 0-1, by labelled digit
        and number: float64 `(10, 10)`, NaN for a digit that has no image."""
        shares = np.full((NUM_DIGITS, NUM_DIGITS), np.nan)
        for digit in np.unique(self.digits):
            shares[digit] = correct[self.digits == digit].mean(axis=0)
        return shares

    def most_common(self, name: str) -> np.ndarray:
        """What is predicted most often, by labelled digit and number: float64
        `(10, 10)`, NaN for a digit that has no image."""
        most = np.full((NUM_DIGITS, NUM_DIGITS), np.nan)
        for digit in np.unique(self.digits):
            for number in range(NUM_DIGITS):
                found = self.predicted[name][self.digits == digit, number]
                values, counts = np.unique(found, return_counts=True)
                most[digit, number] = values[counts.argmax()]
        return most
