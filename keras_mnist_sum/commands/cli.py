"""What all commands share: how they parse, how they fail."""

import argparse
import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from keras_mnist_sum.errors import DivergedError
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import Stopped
from keras_mnist_sum.errors import WorkerLostError

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


def run(command: Callable[[], int | None]) -> int:
    """Runs a command and returns its exit code.

    What the command returned, or 0: done. 2: the input was wrong, or the system
    refused a file. 3: training diverged. 4: another worker has ended. 130 and
    143: stopped by SIGINT (Ctrl-C) and SIGTERM. In all these but the first a
    line on standard error says what happened. 141: nobody reads the output any
    more. Any other exception is a defect of the program and keeps its
    traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without a character shows "?": no reason to fail.
            stream.reconfigure(errors="replace")
    try:
        code = command() or 0
        sys.stdout.flush()  # Here, where it may fail, not as Python ends.
        return code
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Who read the output has gone (`| head`): there is no one to tell.
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        # A stream has no name; standard error may have failed, too.
        what = repr(error.filename) if error.filename else "standard output"
        if not error.filename:
            _drop_output()
        with contextlib.suppress(OSError):
            print(f"error: {error.strerror}. Received: {what}", file=sys.stderr)
        return 2
    except DivergedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    except WorkerLostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    except Stopped as stop:
        print(f"\n{stop}", file=sys.stderr)
        return 128 + stop.signum
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _drop_output() -> None:
    """What is still to be written goes nowhere: it would fail once more."""
    with contextlib.suppress(OSError, ValueError):  # Tests have no file there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
