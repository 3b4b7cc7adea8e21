"""The arithmetic, in one place: three outputs, their classes and tables.

Everything that needs to know what a sum or a difference is (targets, heads,
evaluation, pictures, prediction) reads it here; no other module adds or
subtracts.
"""

from dataclasses import dataclass

import numpy as np

from keras_mnist_sum.errors import InputError

NUM_DIGITS = 10
IMAGE_SIZE = 28
DIFFERENCES = ("absolute", "signed")

_NOWHERE = 10**6  # an answer that is never right


@dataclass(frozen=True)
class Output:
    """One output of the model.

    Attributes:
        name: Name of the output, of its layer, target and signature key.
        values: The integer that each class stands for, in class order.
        table: int64 array of shape `(10, 10)`; `table[digit, number]` is the
            class of this output for that pair.
    """

    name: str
    values: tuple[int, ...]
    table: np.ndarray

    @property
    def num_classes(self) -> int:
        return len(self.values)

    @property
    def truth(self) -> np.ndarray:
        """int64 array of shape `(10, 10)`: the true value of each pair."""
        return np.array(self.values)[self.table]

    def answers(self, predictions: np.ndarray) -> np.ndarray:
        """The integers that a model's predictions of this output stand for.

        Args:
            predictions: Float array of shape `(..., num_classes)`, a score of
                each class, or `(..., 1)`, a value.

        Returns:
            An int64 array of shape `(...)`: the value of the best class, or
            the nearest integer. That one may lie outside of `values`; what is
            no number, or beyond a million, becomes a million.
        """
        if predictions.shape[-1] > 1:
            return np.array(self.values)[np.argmax(predictions, axis=-1)]
        nearest = np.rint(predictions[..., 0].astype("float64"))
        usable = np.abs(nearest) < _NOWHERE
        return np.where(usable, nearest, _NOWHERE).astype("int64")


def outputs(difference: str = "absolute") -> dict[str, Output]:
    """Returns the three outputs of the task: `digit`, `sum`, `difference`.

    Args:
        difference: `"absolute"` for |digit - number| (10 classes, 0 to 9) or
            `"signed"` for digit - number (19 classes, -9 to 9).

    Returns:
        A dict from name to `Output`, in the order of the model's outputs.

    Raises:
        InputError: If `difference` is not one of the two.

    Example:

    >>> sums = outputs()["sum"]
    >>> sums.values[sums.table[7, 5]]
    12
    """
    if difference not in DIFFERENCES:
        raise InputError(
            "`difference` must be 'absolute' or 'signed'. "
            f"Received: difference={difference!r}"
        )
    digit, number = np.indices((NUM_DIGITS, NUM_DIGITS))
    signed = digit - number
    values = {
        "digit": digit,
        "sum": digit + number,
        "difference": np.abs(signed) if difference == "absolute" else signed,
    }
    return {name: _output(name, array) for name, array in values.items()}


def written(
    digit: int, number: int, difference: str = "absolute"
) -> dict[str, str]:
    """How a sum and a difference are written for a person: `7 + 3` and, if it
    is absolute, `|7 − 3|`."""
    bar = "|" if difference == "absolute" else ""
    return {
        "sum": f"{digit} + {number}",
        "difference": f"{bar}{digit} − {number}{bar}",
    }


def _output(name: str, pair_values: np.ndarray) -> Output:
    values, table = np.unique(pair_values, return_inverse=True)
    table = table.reshape(pair_values.shape).astype("int64")
    table.flags.writeable = False
    return Output(name, tuple(int(value) for value in values), table)
