"""What all commands share: how they parse, how they fail."""

import argparse
import errno
import io
import sys
from collections.abc import Callable
from typing import NoReturn

from keras_mnist_sum.errors import InputError

_REFUSALS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENAMETOOLONG,
)


class ArgumentParser(argparse.ArgumentParser):
    """A parser that answers a wrong command line with one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def run(command: Callable[[], None]) -> int:
    """Runs a command and returns its exit code.

    0: done. 2: the input was wrong, or the system refused a file, which one
    line on standard error says.
    130: interrupted from the keyboard. Any other exception is a defect of the
    program and keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without a character shows "?": no reason to fail.
            stream.reconfigure(errors="replace")
    try:
        command()
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        print(
            f"error: {error.strerror}. Received: {error.filename!r}",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return 0
