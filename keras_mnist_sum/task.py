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


def _output(name: str, pair_values: np.ndarray) -> Output:
    values, table = np.unique(pair_values, return_inverse=True)
    table = table.reshape(pair_values.shape).astype("int64")
    table.flags.writeable = False
    return Output(name, tuple(int(value) for value in values), table)
