"""MNIST in memory: checked arrays, and how they are divided."""

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any
from typing import Self

import numpy as np

from keras_mnist_sum.data.examples import ARRAY_SHAPE
from keras_mnist_sum.data.examples import as_examples
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.utils.arguments import LONGEST
from keras_mnist_sum.utils.arguments import as_list


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
            train: Any = data.train_images, data.train_labels
            if not (len(train[0]) or len(train[1])):
                train = None, None
            checked = cls.from_arrays(
                train[0],
                train[1],
                data.test_images,
                data.test_labels,
                source=data.source,
            )
            return dataclasses.replace(
                checked,
                description=data.description,
                data_dir=data.data_dir,
                warning=data.warning,
            )
        is_list = isinstance(data, tuple | list)
        parts = (as_list(data) if is_list else None) or []
        if len(parts) == 2 and all(
            isinstance(part, tuple | list) and len(part) == 2 for part in parts
        ):
            parts = [*parts[0], *parts[1]]
        if len(parts) != 4:
            raise InputError(
                "`data` must be an `Mnist`, or train_images, train_labels, "
                f"test_images and test_labels. Received: {len(parts)} parts of "
                f"{shown(data)}"
            )
        return cls.from_arrays(*parts)

    @classmethod
    def from_arrays(
        cls,
        train_images: Any,
        train_labels: Any,
        test_images: Any,
        test_labels: Any,
        description: str = "arrays of your own",
        source: str = "arrays",
    ) -> Self:
        """Checks arrays, and keeps them in one form.

        Args:
            train_images: What `examples.as_images` takes, or `None` for no
                training set.
            train_labels: What `examples.as_labels` takes, or `None`.
            test_images: As `train_images`.
            test_labels: As `train_labels`.
            description: What this is, for a person.
            source: As the class has it.

        Raises:
            InputError: If the arrays are not so.
        """
        for name, text in (("description", description), ("source", source)):
            if not isinstance(text, str):
                raise InputError(
                    f"`{name}` must be text. Received: {name}={shown(text)}"
                )
        where = f"set of {shown(source, LONGEST)}"
        if train_images is None and train_labels is None:
            train_images = np.zeros((0, *ARRAY_SHAPE), "uint8")
            train_labels = np.zeros(0, "uint8")
        else:
            train_images, train_labels = as_examples(
                train_images, train_labels, f"the train {where}"
            )
        test_images, test_labels = as_examples(
            test_images, test_labels, f"the test {where}"
        )
        return cls(
            train_images,
            train_labels,
            test_images,
            test_labels,
            source,
            description,
        )

    def split(self, validation_fraction: float) -> Split:
        """Keeps a share of the training images, evenly spaced, for
        validation.

        Raises:
            InputError: If the share is no number from 0 to below 1.
        """
        if not isinstance(validation_fraction, int | float | np.number) or not (
            0 <= validation_fraction < 1
        ):
            raise InputError(
                "`validation_fraction` must be a number, at least 0 and below "
                f"1. Received: {shown(validation_fraction)}"
            )
        total = len(self.train_images)
        count = round(total * validation_fraction)
        places = np.arange(count) * total // max(count, 1)
        digits = np.unique(self.train_labels)
        missing = len(digits) - len(np.unique(self.train_labels[places]))
        if missing and count >= len(digits):
            # Labels come in turns, 0 to 9 and again: each has its share.
            places = np.argsort(self.train_labels, kind="stable")[places]
        chosen = np.zeros(total, bool)
        chosen[places] = True
        return Split(
            self.train_images[~chosen],
            self.train_labels[~chosen],
            self.train_images[chosen],
            self.train_labels[chosen],
        )
