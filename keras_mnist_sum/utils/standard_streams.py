"""Standard input, output and error, which may be closed, or fail."""

import contextlib
import io
import os
import sys
from typing import TextIO


def open_closed() -> None:
    """Opens those that are closed on the null device.

    The next file to be opened would get their numbers, and native libraries
    would write their messages into it. Characters that an output cannot show
    become "?".
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The system gives the lowest free number: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        stream = getattr(sys, name)
        if stream is None:
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(null, "w" if number else "r"))
        elif number and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(line: str) -> None:
    """Prints a line on standard error, if anybody can read it."""
    try:
        print(line, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        drop(sys.stderr)


def writable(text: str, stream: TextIO) -> str:
    """`text` with an escape for each character that `stream` cannot write."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def is_broken(stream: TextIO) -> bool:
    """Whether what was printed there cannot be written."""
    try:
        stream.flush()
    except (OSError, ValueError):
        return True
    return False


def drop(stream: TextIO) -> None:
    """Sends nowhere what is still to be written: it would fail once more."""
    with contextlib.suppress(OSError, ValueError):  # Tests have no file there.
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, stream.fileno())
        finally:
            os.close(null)
