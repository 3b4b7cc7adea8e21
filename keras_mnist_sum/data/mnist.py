"""MNIST in memory: checked arrays, and how they are divided."""

import functools
import hashlib
from dataclasses import dataclass
from typing import Any
from typing import Self

import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import NUM_DIGITS

ARRAY_SHAPE = IMAGE_SHAPE[:2]  # of an image in an array: gray, no channels


@dataclass(frozen=True, eq=False)
class Split:
    """A training set, divided into images to train on and to validate on.

    Attributes:
        images: uint8 array of shape `(examples, 28, 28)`, 0-255.
        labels: uint8 array of shape `(examples,)`, 0-9.
        validation_images: As `images`; may be empty.
        validation_labels: As `labels`.
    """

    images: np.ndarray
    labels: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray

    def digest(self) -> str:
        """The SHA-256 of the four arrays, in hexadecimal."""
        return self._digest

    @functools.cached_property
    def _digest(self) -> str:
        sha256 = hashlib.sha256(self.images.data)
        sha256.update(self.labels.data)
        sha256.update(self.validation_images.data)
        sha256.update(self.validation_labels.data)
        return sha256.hexdigest()


@dataclass(frozen=True, eq=False)
class Mnist:
    """Images and labels. `from_arrays` and `load_mnist` check them.

    Attributes:
        train_images: uint8 array of shape `(examples, 28, 28)`, 0-255, white
            ink on black. Empty if the training set was not loaded.
        train_labels: uint8 array of shape `(examples,)`, 0-9.
        test_images: As `train_images`.
        test_labels: As `train_labels`.
        source: The value of `data` that names this source: `"tfds"`,
            `"sample"` or a path; or `"arrays"`.
        description: What this is, for a person.
        data_dir: The folder of tensorflow-datasets, absolute, or `None` if
            this did not come from there.
        warning: What a person must know about it, or an empty string.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str
    description: str
    data_dir: str | None = None
    warning: str = ""

    @classmethod
    def of(cls, data: Any) -> "Mnist":
        """Takes an `Mnist`, four arrays as `from_arrays` has them, or two pairs
        of arrays as `keras.datasets` has them.

        Raises:
            InputError: If `data` is something else, or `from_arrays` does.
        """
        if isinstance(data, Mnist):
            return data
        parts = list(data) if isinstance(data, tuple | list) else []
        if [type(part) for part in parts] == [tuple, tuple]:
            parts = [*parts[0], *parts[1]]
        if len(parts) != 4:
            raise InputError(
                "`data` must be an `Mnist`, or train_images, train_labels, "
                f"test_images and test_labels. Received: {len(parts)} parts of "
                f"a {type(data).__name__}"
            )
        return cls.from_arrays(*parts)

    @classmethod
    def from_arrays(
        cls,
        train_images: np.ndarray | None,
        train_labels: np.ndarray | None,
        test_images: np.ndarray,
        test_labels: np.ndarray,
        description: str = "arrays of your own",
        source: str = "arrays",
    ) -> Self:
        """Checks arrays and keeps them.

        Args:
            train_images: As the class has them, or `None` for no training set.
            train_labels: The same, or of another integer type.
            test_images: As the class has them.
            test_labels: The same, or of another integer type.
            description: What this is, for a person.
            source: As the class has it.

        Raises:
            InputError: If the arrays are not so.
        """
        if train_images is None and train_labels is None:
            train_images = np.zeros((0, *ARRAY_SHAPE), "uint8")
            train_labels = np.zeros(0, "uint8")
        else:
            where = f"the train set of {source!r}"
            check_examples(train_images, train_labels, where)
        check_examples(test_images, test_labels, f"the test set of {source!r}")
        return cls(
            np.ascontiguousarray(train_images),  # A file may hold columns first
            np.asarray(train_labels, "uint8"),
            np.ascontiguousarray(test_images),
            np.asarray(test_labels, "uint8"),
            source,
            description,
        )

    def split(self, validation_fraction: float) -> Split:
        """Keeps a share of the training images, evenly spaced, for
        validation."""
        total = len(self.train_images)
        count = round(total * validation_fraction)
        chosen = np.zeros(total, bool)
        chosen[np.arange(count) * total // max(count, 1)] = True
        return Split(
            self.train_images[~chosen],
            self.train_labels[~chosen],
            self.train_images[chosen],
            self.train_labels[chosen],
        )


def check_examples(
    images: object, labels: object, where: str = "the arguments"
) -> None:
    """Checks that these are images and labels as `Mnist` has them, but labels
    of any integer type.

    Raises:
        InputError: If they are not. The message says what was found `where`.
    """
    if not (
        isinstance(images, np.ndarray)
        and images.dtype == np.uint8
        and images.shape[1:] == ARRAY_SHAPE
    ):
        raise InputError(
            "Images must be uint8 of shape (examples, "
            f"{', '.join(map(str, ARRAY_SHAPE))}). "
            f"Received: {_kind(images)} in {where}"
        )
    if not (
        isinstance(labels, np.ndarray)
        and labels.dtype.kind in "iu"
        and labels.ndim == 1
    ):
        raise InputError(
            "Labels must be integers of shape (examples,). "
            f"Received: {_kind(labels)} in {where}"
        )
    if len(images) != len(labels) or not len(images):
        raise InputError(
            "There must be a label for each image, and at least one. "
            f"Received: {len(images)} images and {len(labels)} labels in "
            f"{where}"
        )
    if labels.min() < 0 or labels.max() >= NUM_DIGITS:
        raise InputError(
            f"Labels must lie in 0-{NUM_DIGITS - 1}. "
            f"Received: {labels.min()} to {labels.max()} in {where}"
        )


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__
