"""What `launch` is given, in whatever form."""

import contextlib
import os
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.utils.arguments import LONGEST
from keras_mnist_sum.utils.arguments import as_list
from keras_mnist_sum.utils.settings import plain

Word: TypeAlias = str | bytes | os.PathLike
# A number among the arguments is its text.
Command: TypeAlias = Word | Sequence[Word | float]

_MOST_SECONDS = 1e9  # as good as no limit


def as_words(command: Any) -> list[str]:
    """A Python program and its arguments, as text that a process can get.

    Args:
        command: The program, or a list that begins with it or with `-m`.

    Raises:
        InputError: If there is no such program, or an argument is no text.
    """
    alone = isinstance(command, str | bytes | os.PathLike)
    parts = [command] if alone else as_list(command)
    words = [_as_word(part) for part in parts or ()]
    if not words or not (words[0] == "-m" or os.path.isfile(words[0])):
        received = command if parts is None else " ".join(words)
        more = len(words) > 1
        why = f", and {shown(words[0])} is no file" if more else ""
        raise InputError(
            "A launch needs a Python program and its arguments, in a list or "
            f"after --. Received: {shown(received, LONGEST)}{why}"
        )
    return words


def _as_word(part: Any) -> str:
    number = isinstance(part, int | float) and not isinstance(part, bool)
    with contextlib.suppress(Exception):
        text: Any = str(part) if number else part
        word = os.fsdecode(text)
        if b"\0" not in os.fsencode(word):
            return word
    raise InputError(
        "Each argument of a program must be text without a NUL. "
        f"Received: {shown(part)}"
    )


def as_seconds(value: object, name: str) -> float:
    """The seconds that the argument called `name` stands for.

    Raises:
        InputError: If it is no positive number.
    """
    seconds = plain(value)
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not seconds > 0:
        raise InputError(
            f"`{name}` must be a positive number of seconds. "
            f"Received: {name}={shown(value)}"
        )
    return float(min(seconds, _MOST_SECONDS))
