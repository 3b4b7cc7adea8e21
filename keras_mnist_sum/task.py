"""A task: named outputs, each a table over all (digit, number) pairs.

Whatever needs to know what a sum is reads it here: targets, heads, scores,
pictures, exports. Nothing else computes with digits and numbers. To add an
output that a run can name, add a line to `FORMULAS`.

NumPy is imported where it is used: `--help` does without.
"""

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING
from typing import Any

from keras_mnist_sum.errors import InputError

if TYPE_CHECKING:
    import numpy as np

NUM_DIGITS = 10
IMAGE_SHAPE = (28, 28, 1)  # height, width, channels
INPUT_SHAPES = {"image": IMAGE_SHAPE, "number": (NUM_DIGITS,)}
DIFFERENCES = ("absolute", "signed")

# What the outputs that a run can name compute, and how that is written.
Formula = tuple[Callable[[int, int], int], str]
FORMULAS: dict[str, Formula] = {
    "digit": (lambda d, n: d, "digit"),
    "sum": (lambda d, n: d + n, "{d} + {n}"),
    "difference": (lambda d, n: abs(d - n), "|{d} − {n}|"),
    "product": (lambda d, n: d * n, "{d} × {n}"),
    "greater": (lambda d, n: d > n, "{d} > {n}"),
}
SIGNED: Formula = (lambda d, n: d - n, "{d} − {n}")

_NAME = re.compile("[a-z][a-z0-9_]{0,39}")
# Names that a model, its scores or its history use for something else.
_RESERVED = {*INPUT_SHAPES, *"all loss logits class_name config module".split()}
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
        if not _NAME.fullmatch(self.name) or self.name in _RESERVED:
            raise InputError(
                "An output's name must be a word of lower-case letters, digits "
                f"and _, and none of {', '.join(sorted(_RESERVED))}. "
                f"Received: {self.name!r}"
            )
        if not self.text.isprintable():
            raise InputError(
                f"A text must be printable. Received: {self.text!r}"
            )
        import numpy as np

        classes = np.unique(self.table)
        if (
            self.table.shape != (NUM_DIGITS, NUM_DIGITS)
            or list(classes) != list(range(len(self.values)))
            or list(self.values) != sorted(set(self.values))
            or max(map(abs, self.values)) >= _LARGEST_VALUE
            or len(self.values) < 2
        ):
            raise InputError(
                "An output needs a class for each of the 100 pairs and at "
                "least two classes, each an integer below "
                f"{_LARGEST_VALUE:,}, in rising order. "
                f"Received: {self.name} with values {self.values[:9]}... and a "
                f"table of shape {self.table.shape}"
            )
        self.table.flags.writeable = False

    @classmethod
    def of(
        cls, name: str, function: Callable[[int, int], int], text: str
    ) -> "Output":
        """The output whose value for a pair is `function(digit, number)`.

        Raises:
            InputError: If a value is not an integer, or `function` fails.
        """
        import numpy as np

        pairs = range(NUM_DIGITS)
        try:
            values = np.array(
                [[index(function(d, n)) for n in pairs] for d in pairs], "int64"
            )
        except Exception as error:
            raise InputError(
                f"`{name}` must be a function of a digit and a number, from 0 "
                "to 9, and must give an integer. "
                f"Received: {type(error).__name__}: {error}"
            ) from error
        classes, table = np.unique(values, return_inverse=True)
        table = table.reshape(values.shape).astype("int64")
        return cls(name, tuple(map(int, classes)), table, text)

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
        """
        import numpy as np

        if predictions.shape[-1] > 1:
            return np.array(self.values)[np.argmax(predictions, axis=-1)]
        nearest = np.rint(predictions[..., 0].astype("float64"))
        usable = np.abs(nearest) < _LARGEST_VALUE
        return np.where(usable, nearest, _LARGEST_VALUE).astype("int64")

    def question(self, digit: int, number: int) -> str:
        """What is asked of a pair, as a person writes it: `7 + 3`."""
        return self.text.replace("{d}", str(digit)).replace("{n}", str(number))


class Task(Mapping[str, Output]):
    """The outputs of a model by name, in their order.

    Args:
        functions: For each output, a function of a digit and a number, called
            once for each of the 100 pairs. `digit` must be the digit.

    Raises:
        InputError: If a function or a name cannot be used.

    Example:

    >>> task = Task(digit=lambda d, n: d, product=lambda d, n: d * n)
    >>> product = task["product"]
    >>> product.num_classes, product.values[product.table[7, 5]]
    (37, 35)
    """

    def __init__(self, **functions: Callable[[int, int], int]) -> None:
        self._outputs = _by_name(
            Output.of(
                name,
                function,
                "digit" if name == "digit" else f"{name}({{d}}, {{n}})",
            )
            for name, function in functions.items()
        )

    @classmethod
    def of(cls, outputs: Iterable[Output]) -> "Task":
        """The task with these outputs, in this order."""
        task = cls.__new__(cls)
        task._outputs = _by_name(outputs)
        return task

    @classmethod
    def named(
        cls,
        names: Iterable[str] = ("digit", "sum", "difference"),
        difference: str = "absolute",
    ) -> "Task":
        """The task whose outputs are named in `FORMULAS`.

        Args:
            names: The outputs, in the model's order.
            difference: `"absolute"` for |digit - number| (10 classes, 0 to 9)
                or `"signed"` for digit - number (19 classes, -9 to 9).

        Raises:
            InputError: If a name is not known, or `difference` is another.
        """
        if difference not in DIFFERENCES:
            raise InputError(
                "`difference` must be 'absolute' or 'signed'. "
                f"Received: difference={difference!r}"
            )
        names = tuple(names)
        check_names(names)
        signed = {"difference": SIGNED} if difference == "signed" else {}
        formulas = FORMULAS | signed
        return cls.of(Output.of(name, *formulas[name]) for name in names)

    def __getitem__(self, name: str) -> Output:
        return self._outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self.to_dict() == other.to_dict()

    def __repr__(self) -> str:
        return f"Task({', '.join(self)})"

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The outputs as JSON has them, for `from_dict`."""
        return {
            output.name: {
                "values": list(output.values),
                "table": output.table.tolist(),
                "text": output.text,
            }
            for output in self.values()
        }

    @classmethod
    def from_dict(cls, content: object) -> "Task":
        """Rebuilds a task from what `to_dict` returned.

        Raises:
            InputError: If it is something else.
        """
        import numpy as np

        try:
            if not isinstance(content, dict):
                raise TypeError("it is not a dict of outputs")
            return cls.of(
                Output(
                    name,
                    tuple(int(value) for value in output["values"]),
                    np.array(output["table"], "int64"),
                    str(output["text"])[:80],
                )
                for name, output in content.items()
            )
        except InputError:
            raise
        except (LookupError, OverflowError, TypeError, ValueError) as error:
            raise InputError(
                f"This is not a task. Received: {type(error).__name__}: {error}"
            ) from error


def check_names(names: Iterable[str]) -> None:
    """Raises `InputError` unless all are in `FORMULAS`, `digit` among them."""
    names = list(names)
    unknown = [name for name in names if name not in FORMULAS]
    if unknown or "digit" not in names:
        raise InputError(
            f"`outputs` must name some of {', '.join(FORMULAS)}, digit among "
            "them; any other needs a `Task` of its own. "
            f"Received: {', '.join(map(repr, unknown)) or names}"
        )


def _by_name(outputs: Iterable[Output]) -> dict[str, Output]:
    found = list(outputs)
    named = {output.name: output for output in found}
    digit = named.get("digit")
    if (
        len(named) < len(found)
        or digit is None
        or digit.pair_values.tolist() != [[d] * 10 for d in range(10)]
    ):
        raise InputError(
            "A task has outputs of different names, one of them `digit`, "
            f"which is the digit. Received: {[x.name for x in found]}"
        )
    return named
