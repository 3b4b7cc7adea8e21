"""Words and command lines to be copied from the screen to a shell."""

import os
import shlex
import shutil
import string
import sys
from pathlib import Path

CONSOLE_COMMAND = "keras-mnist-sum"  # as pyproject.toml has it


def quote(word: str | Path) -> str:
    """A word of a command line, to be copied from the screen to a shell.

    A path that begins with a dash is told from a flag.
    """
    if isinstance(word, Path):
        word = os.path.join("." * str(word).startswith("-"), word)
    if word.isprintable():
        return shlex.quote(word)
    # The name of a file may hold any bytes: bash and zsh read them so.
    plain = {*string.ascii_letters, *string.digits, *" -./_"}
    return "$'{}'".format(
        "".join(
            chr(byte) if chr(byte) in plain else f"\\x{byte:02x}"
            for byte in os.fsencode(word)
        )
    )


def relative(path: str | Path) -> str:
    """A path from the working directory, quoted."""
    try:
        path = os.path.relpath(path)
    except (OSError, ValueError):  # There is no such way.
        path = str(path)
    return quote(path)


def called_as(default: str) -> str:
    """How this process was called, up to its arguments.

    Args:
        default: What it is where that is not to be found: in a notebook, or
            where Python code calls a command.

    Returns:
        `python3 train.py`, `python -m keras_mnist_sum`, `keras-mnist-sum` or
        the like, quoted.
    """
    given = sys.argv[1:]
    words = sys.orig_argv[: len(sys.orig_argv) - len(given)]
    is_module = words[-2:-1] == ["-m"]
    if [*words, *given] != sys.orig_argv or not (
        is_module or os.path.isfile(words[-1])
    ):
        return default
    if not is_module and Path(words[-1]).stem == CONSOLE_COMMAND:
        words = words[-1:]  # Its interpreter is named in the file.
    return " ".join(map(quote, [_short(words[0]), *words[1:]]))


def _short(program: str) -> str:
    """The name of a program, if the shell finds it by that, else its path."""
    name = Path(program).name
    found = shutil.which(name)
    same = found and os.path.abspath(found) == os.path.abspath(program)
    return name if same else program
