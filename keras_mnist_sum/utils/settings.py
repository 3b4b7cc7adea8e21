"""Fields of a dataclass that carry their own help, choices and range."""

import argparse
import ast
import dataclasses
import functools
import itertools
import json
import math
import os
from pathlib import Path
from types import UnionType
from typing import Any
from typing import get_args
from typing import get_origin

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown

SMALLEST = 1e-12  # as good as above 0
BELOW_1 = 1 - SMALLEST
_MOST = 10_000  # parts of a value in JSON


def keys_of(name: str, *files: str) -> tuple[str, ...]:
    """The keys of the dicts called `name` in these files of the package."""
    keys: list[str] = []
    for file in files:
        for node in _parsed(file).body:
            if not isinstance(node, ast.Assign | ast.AnnAssign):
                continue
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            value = node.value
            if isinstance(value, ast.Dict) and ast.unparse(targets[0]) == name:
                constants = [k for k in value.keys if k]
                keys += [ast.literal_eval(key) for key in constants]
    return tuple(keys)


@functools.cache
def _parsed(file: str) -> ast.Module:
    path = Path(__file__).parents[1] / file
    return ast.parse(path.read_text(encoding="utf-8"))


def setting(
    default: object,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    range: tuple[float, float] | None = None,
    unit: str = "",
    flag: bool = True,
) -> Any:
    """A field with a default, and what a command needs to know of it.

    Args:
        default: The value that it has if none is given.
        help: What it is, in a phrase.
        choices: The values that it can have, if they are few.
        range: The lowest and the highest value that it can have.
        unit: In which unit.
        flag: Whether commands have a flag for it.
    """
    metadata = {"help": help, "choices": choices, "flag": flag}
    return dataclasses.field(
        default=default, metadata={**metadata, "range": range, "unit": unit}
    )


def check_setting(field: dataclasses.Field, value: Any) -> None:
    """Refuses a value that the field cannot have.

    Raises:
        InputError: If it has the wrong type or lies out of range.
    """
    name, choices = field.name, field.metadata["choices"]
    expected: Any = field.type
    if isinstance(expected, UnionType):
        if value is None:
            return
        expected = get_args(expected)[0]
    if get_origin(expected) is tuple:
        words, good = (
            "tuple of different names",
            (
                isinstance(value, tuple)
                and all(isinstance(part, str) for part in value)
                and len(set(value)) == len(value)
            ),
        )
    elif get_origin(expected) is dict:
        words = "dict that JSON can hold"
        good = isinstance(value, dict)
        if get_args(expected)[1] is float:
            words, good = (
                "dict of positive numbers by name",
                good
                and all(isinstance(name, str) for name in value)
                and all(_is_positive(number) for number in value.values()),
            )
        good = good and _is_json(value)
    else:
        words = expected.__name__
        allowed = (float, int) if expected is float else expected
        boolean = isinstance(value, bool)
        good = isinstance(value, allowed) and boolean == (expected is bool)
    if not good:
        raise InputError(
            f"`{name}` must be of type {words}. Received: {name}={shown(value)}"
        )
    if choices and value not in choices:
        raise InputError(
            f"`{name}` must be one of {', '.join(choices)}. "
            f"Received: {name}={shown(value)}"
        )
    if field.metadata["range"]:
        low, high = field.metadata["range"]
        if not low <= value <= high:  # NaN is refused, too
            unit = field.metadata["unit"]
            raise InputError(
                f"`{name}` must be {range_text(low, high)}"
                f"{' ' * bool(unit)}{unit}. Received: {name}={shown(value)}"
            )


def _is_json(value: object) -> bool:
    try:
        parts = json.JSONEncoder(allow_nan=False).iterencode(value)
        # A dict that holds another twice, and so on, has no end.
        return sum(1 for _ in itertools.islice(parts, _MOST)) < _MOST
    except Exception:
        return False


def _is_positive(value: Any) -> bool:
    number = isinstance(value, float | int) and not isinstance(value, bool)
    return number and SMALLEST <= value <= 1 / SMALLEST


def plain(value: Any) -> Any:
    """What a field holds of `value`: no path, list, or array of NumPy's."""
    try:
        if isinstance(value, dict):
            return {name: _plain(part) for name, part in value.items()}
        return _plain(value)
    except Exception:  # It is none that a field can have.
        return value


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(value) if isinstance(value, list) else value


def names_of(text: str) -> tuple[str, ...]:
    """Reads `digit,sum`."""
    return tuple(text.split(","))


def numbers_of(text: str) -> dict[str, float]:
    """Reads `sum=2,difference=0.5`, as a type of `argparse`."""
    pairs = [part.partition("=") for part in text.split(",")]
    try:
        numbers = {name: float(number) for name, _, number in pairs}
    except ValueError:
        numbers = {}
    if len(numbers) < len(pairs):
        raise argparse.ArgumentTypeError(
            "must be NAME=NUMBER,NAME=NUMBER, each name once. "
            f"Received: {shown(text)}"
        )
    return numbers


def range_text(low: float, high: float) -> str:
    """A range in words: `positive`, `from 0 to 0.5`."""
    below = "below 1" if high == BELOW_1 else f"at most {high:,g}"
    if low == SMALLEST:
        return f"positive and {below}"
    if high == BELOW_1:
        return f"at least {low:g} and {below}"
    ends = ("pi" if x == math.pi else f"{x:,.10g}" for x in (low, high))
    return "from {} to {}".format(*ends)
