"""What callers give to functions, in whatever form: paths, lists, integers."""

import errno
import itertools
import math
import os
from pathlib import Path
from typing import Any

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.utils.settings import plain

LONGEST = 200  # characters of a path that a message has
_MOST_PARTS = 10**6


def as_path(value: object, expected: str) -> Path:
    """The path that an argument stands for.

    Args:
        value: Text, bytes or an `os.PathLike`.
        expected: The sentence with which an error begins.

    Returns:
        The path, at which there need not be anything.

    Raises:
        InputError: If it is none, empty, or one that the system cannot have.
    """
    path, why = "", ""
    try:
        path = os.fsdecode(value)  # type: ignore[arg-type]
        os.lstat(path or ".")
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            why = f" ({error.strerror})"
    except ValueError:
        why = " (it holds " + ("a NUL)" if "\0" in path else "no text)")
    except Exception:
        path = ""
    if not path or why:
        raise InputError(f"{expected}. Received: {shown(value, LONGEST)}{why}")
    return Path(path)


def as_list(value: Any) -> list | None:
    """The parts of a collection; `None` of text and what is no collection, or
    has no end."""
    if isinstance(value, str | bytes | bytearray | memoryview):
        return None
    most = None if hasattr(type(value), "__len__") else _MOST_PARTS
    try:
        parts = iter(value)
        found = list(itertools.islice(parts, most))
        is_whole = most is None or len(found) < most
    except InputError:
        raise  # of what makes the parts
    except Exception:
        return None
    return found if is_whole else None


def as_integer(
    value: object, name: str, low: int, high: float = math.inf
) -> int:
    """The integer that the argument called `name` stands for.

    Raises:
        InputError: If it is none, or one below `low` or above `high`.
    """
    number = plain(value)
    is_integer = isinstance(number, int) and not isinstance(number, bool)
    if not is_integer or not low <= number <= high:
        most = f"from {low} to {high}" if high < math.inf else f">= {low}"
        raise InputError(
            f"`{name}` must be an integer {most}. "
            f"Received: {name}={shown(value)}"
        )
    return number


def as_flag(value: object, name: str) -> bool:
    """Whether the argument called `name` says yes.

    Raises:
        InputError: If it is neither true nor false.
    """
    flag = plain(value)
    if not isinstance(flag, int) or flag not in (0, 1):
        raise InputError(
            f"`{name}` must be True or False. Received: {name}={shown(value)}"
        )
    return bool(flag)
