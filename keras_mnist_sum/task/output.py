"""One output of a model: a table over all (digit, number) pairs.

NumPy is imported where it is used: `--help` does without.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.utils.settings import plain

if TYPE_CHECKING:
    import numpy as np

NUM_DIGITS = 10

_NAME = re.compile("[a-z][a-z0-9_]{0,39}")
# Names that a model, its answers, scores or history use for something else.
_RESERVED = set(
    "agree all class_name config contradictory error image logits loss module "
    "number picture probabilities skipped val".split()
)
_LARGEST_VALUE = 10**6  # no value is as large; also an answer never right


@dataclass(frozen=True, eq=False)
class Output:
    """One output of a model.

    Attributes:
        name: Name of the output, of its layer, target and signature key.
        values: The integer that each class stands for, in rising order.
        table: int64 array of shape `(10, 10)`; `table[digit, number]` is the
            class of this output for that pair.
        text: How a pair's value is asked for, with `{d}` and `{n}` in it.

    Raises:
        InputError: If they do not fit together.
    """

    name: str
    values: tuple[int, ...]
    table: "np.ndarray"
    text: str

    def __post_init__(self) -> None:
        name = self.name if isinstance(self.name, str) else ""
        if (
            not _NAME.fullmatch(name)
            or name in _RESERVED
            or name.startswith("val_")
        ):
            raise InputError(
                "An output's name must be a word of lower-case letters, digits "
                f"and _, none of {', '.join(sorted(_RESERVED))}, and not begin "
                f"with val_. Received: {shown(self.name)}"
            )
        if not isinstance(self.text, str) or not self.text.isprintable():
            raise InputError(
                f"A text must be printable. Received: {shown(self.text)}"
            )
        import numpy as np

        try:
            given = itertools.islice(self.values, NUM_DIGITS**2 + 1)
            values = tuple(int(index(value)) for value in given)
            table = np.array(self.table)  # a copy, which nobody can change
            usable = (
                table.dtype.kind in "iu"
                and table.shape == (NUM_DIGITS, NUM_DIGITS)
                and np.unique(table).tolist() == list(range(len(values)))
                and list(values) == sorted(set(values))
                and max(map(abs, values)) < _LARGEST_VALUE
                and len(values) > 1
            )
        except Exception:
            usable = False
        if not usable:
            raise InputError(
                "An output needs a class for each of the 100 pairs and at "
                "least two classes, each an integer below "
                f"{_LARGEST_VALUE:,}, in rising order. "
                f"Received: {name} with values {shown(self.values)} and the "
                f"table {shown(self.table)}"
            )
        table = table.astype("int64")
        table.flags.writeable = False
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "table", table)

    @classmethod
    def of(
        cls, name: str, function: Callable[[int, int], int], text: str
    ) -> "Output":
        """The output whose value for a pair is `function(digit, number)`.

        Raises:
            InputError: If a value is not an integer, or `function` fails.
        """
        import numpy as np

        values = np.zeros((NUM_DIGITS, NUM_DIGITS), "int64")
        for digit, number in np.ndindex(values.shape):
            try:
                # NumPy's booleans are no integers, as Python's are.
                values[digit, number] = index(plain(function(digit, number)))
            except Exception as error:
                raise InputError(
                    f"`{name}` must be a function of a digit and a number, 0 "
                    f"to 9, and must give an integer. For {digit} and {number} "
                    f"it did not. Received: {shown(error, 200)}"
                ) from error
        classes, table = np.unique(values, return_inverse=True)
        return cls(name, tuple(classes), table.reshape(values.shape), text)

    @property
    def num_classes(self) -> int:
        return len(self.values)

    @property
    def pair_values(self) -> "np.ndarray":
        """int64 array of shape `(10, 10)`: the right value of each pair."""
        import numpy as np

        return np.array(self.values)[self.table]

    def decode(self, predictions: "np.ndarray") -> "np.ndarray":
        """The integers that a model's predictions of this output stand for.

        Args:
            predictions: Float array of shape `(..., num_classes)`, a score of
                each class, or `(..., 1)`, a value.

        Returns:
            int64 array of shape `(...)`: the value of the best class, or the
            nearest integer; of NaN and what is beyond a million, a million.

        Raises:
            InputError: If they are no such array.
        """
        import numpy as np

        try:
            array = np.asarray(predictions)
        except Exception:
            array = np.array(None)
        if array.dtype.kind not in "biuf" or (
            array.shape[-1:] not in ((1,), (self.num_classes,))
        ):
            raise InputError(
                f"Predictions of {self.name} must be numbers of shape (..., "
                f"{self.num_classes}) or (..., 1). "
                f"Received: {shown(predictions)}"
            )
        if array.shape[-1] > 1:
            return np.array(self.values)[np.argmax(array, axis=-1)]
        nearest = np.rint(array[..., 0].astype("float64"))
        usable = np.abs(nearest) < _LARGEST_VALUE
        return np.where(usable, nearest, _LARGEST_VALUE).astype("int64")

    def question(self, digit: int, number: int) -> str:
        """What is asked of a pair, as a person writes it: `7 + 3`."""
        return self.text.replace("{d}", str(digit)).replace("{n}", str(number))
