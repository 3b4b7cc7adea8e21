"""A task: named outputs, each a table over all (digit, number) pairs.

Whatever needs to know what a sum is reads it here: targets, heads, scores,
pictures, exports. Nothing else computes with digits and numbers. To add an
output that a run can name, add a line to `FORMULAS`.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.task.output import NUM_DIGITS
from keras_mnist_sum.task.output import Output
from keras_mnist_sum.utils.arguments import as_list

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

    def __init__(
        self, /, *unnamed: object, **functions: Callable[[int, int], int]
    ) -> None:
        if unnamed:
            raise InputError(
                "Each output must be named, as in Task(digit=lambda d, n: d, "
                "sum=lambda d, n: d + n), or Task.named(('digit', 'sum')). "
                f"Received: {shown(unnamed[0])}"
            )
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
        if not isinstance(difference, str) or difference not in DIFFERENCES:
            raise InputError(
                "`difference` must be 'absolute' or 'signed'. "
                f"Received: difference={shown(difference)}"
            )
        names = check_names(names)
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
        """Whether they compute the same, however that is written."""
        return isinstance(other, Task) and self._tables() == other._tables()

    def _tables(self) -> dict[str, tuple]:
        return {x.name: (x.values, x.table.tolist()) for x in self.values()}

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
        try:
            outputs = [
                Output(
                    name,
                    output["values"],
                    output["table"],
                    str(output["text"])[:80],
                )
                for name, output in content.items()  # type: ignore[attr-defined]
            ]
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"This is not a task. Received: {shown(content)}"
            ) from error
        return cls.of(outputs)


def check_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names, of which all are in `FORMULAS`, `digit` among them.

    Raises:
        InputError: If they are others.
    """
    found = as_list(names)
    unknown = [
        name
        for name in found or ()
        if not isinstance(name, str) or name not in FORMULAS
    ]
    if found is None or unknown or "digit" not in found:
        raise InputError(
            f"`outputs` must name some of {', '.join(FORMULAS)}, digit among "
            "them; any other needs a `Task` of its own. Received: "
            + (
                ", ".join(map(shown, unknown[:3]))
                or shown(names if found is None else found)
            )
        )
    return tuple(found)


def _by_name(outputs: Iterable[Output]) -> dict[str, Output]:
    found = as_list(outputs)
    if found is None or not all(isinstance(x, Output) for x in found):
        raise InputError(
            f"A task is made of a list of `Output`. Received: {shown(outputs)}"
        )
    named = {output.name: output for output in found}
    digit = named.get("digit")
    if (
        len(named) < len(found)
        or digit is None
        or digit.pair_values.tolist() != [[d] * 10 for d in range(10)]
    ):
        raise InputError(
            "A task has outputs of different names, one of them `digit`, "
            f"which is the digit. Received: {shown([x.name for x in found])}"
        )
    # So a SavedModel calls the probability of an answer.
    if taken := [x for x in named if f"{x}_probability" in named]:
        raise InputError(
            "No output may be called as the probability of another. "
            f"Received: {taken[0]}, {taken[0]}_probability"
        )
    return named
