"""The ways in which a command may end early. Anything else is a defect."""

import reprlib
import signal
from typing import Any


class InputError(ValueError):
    """Raised for input that the caller can correct.

    The message is complete in one line and ends in `Received: ...`. Commands
    print it as `error: ...` and exit with code 2, without a traceback; any
    other exception is a defect and keeps its traceback.
    """


def shown(value: object, most: int = 60) -> str:
    """`value` behind `Received: `, in one short line of printable text.

    Args:
        value: Anything: it may be huge, hold itself, or fail to say what it is.
        most: The number of characters after which the middle is left out.
    """
    try:
        text = _Short(most).repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return one_line(text, most)


def one_line(text: str, most: int = 10_000) -> str:
    """`text` in one line of printable characters.

    Args:
        text: Anything, such as names of files, which may hold any character.
        most: As for `shown`.
    """
    text = " ".join(text.split())
    text = "".join(x if x.isprintable() else ascii(x)[1:-1] for x in text)
    left = max(most - 3, 0) // 2
    return text if len(text) <= most else f"{text[:left]}...{text[-left:]}"


class _Short(reprlib.Repr):
    def __init__(self, most: int) -> None:
        super().__init__()
        self.maxstring = self.maxother = most

    # Python refuses to write more than 4,300 digits.
    def repr_int(self, x: int, level: int) -> str:
        digits = 1 + int(x.bit_length() * 0.30103)
        return repr(x) if digits <= 40 else f"an integer of {digits:,} digits"

    def repr_bytes(self, x: Any, level: int) -> str:
        return self.repr_str(x, level)

    def repr_ndarray(self, x: Any, level: int) -> str:
        return f"an array of {x.dtype} of shape {x.shape}"


class DivergedError(ArithmeticError):
    """Raised when a loss or a weight is no longer a finite number.

    As for `InputError`, the message is complete in one line. Exit code 3.
    """


class WorkerLostError(RuntimeError):
    """Raised when another process of a run across machines has ended.

    As for `InputError`, the message is complete in one line. Exit code 4.
    """


class Stopped(KeyboardInterrupt):
    """Raised where a run has obeyed a signal that ends it, with nothing lost.

    Exit code: 128 + `signum`, as a shell counts it.
    """

    def __init__(self, signum: int, message: str):
        super().__init__(message)
        self.signum = signum

    def __str__(self) -> str:
        return f"{signal.Signals(self.signum).name}: {self.args[0]}"
