"""How a command ends: its exit code, and the line that says why."""

import errno
import os
import signal
import sys
import types
from collections.abc import Callable
from typing import NoReturn

from keras_mnist_sum.distribution.signals import HANGUP
from keras_mnist_sum.distribution.signals import handle_signals
from keras_mnist_sum.errors import DivergedError
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import Stopped
from keras_mnist_sum.errors import WorkerLostError
from keras_mnist_sum.errors import one_line
from keras_mnist_sum.errors import shown
from keras_mnist_sum.utils import standard_streams
from keras_mnist_sum.utils.standard_streams import drop
from keras_mnist_sum.utils.standard_streams import is_broken
from keras_mnist_sum.utils.standard_streams import say

_REFUSALS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENAMETOOLONG,
)
_SIGPIPE = 13  # Not every system has it.


def run(command: Callable[[], int | None]) -> int:
    """Runs a command and returns its exit code.

    0, or what the command returned: done. 2: the input was wrong, or the system
    refused a file. 3: training diverged. 4: another worker has ended. 129, 130
    and 143: stopped by SIGHUP, SIGINT (Ctrl-C) and SIGTERM. In each of these
    cases but the first a line on standard error says what happened. 141: nobody
    reads the output any more. Any other exception is a defect of the program
    and keeps its traceback.
    """
    standard_streams.open_closed()
    try:
        with handle_signals(_stopping()):
            code = command() or 0
            sys.stdout.flush()  # A failure here is caught, one at exit is not.
        return code
    except InputError as error:
        say(f"error: {one_line(str(error))}")
        return 2
    except BrokenPipeError:
        # The reader has gone (`| head`): there is no one to tell.
        drop(sys.stdout)
        return 128 + _SIGPIPE
    except OSError as error:
        received = _refused(error)
        if received is None:
            raise
        say(f"error: {error.strerror}. Received: {received}")
        return 2
    except DivergedError as error:
        say(f"error: {error}")
        return 3
    except WorkerLostError as error:
        say(f"error: {error}")
        return 4
    except Stopped as stop:
        say(f"\n{stop}")
        return 128 + stop.signum
    except KeyboardInterrupt:
        say("\ninterrupted")
        return 130
    finally:
        if is_broken(sys.stderr):  # It would fail once more at exit.
            drop(sys.stderr)


def _stopping() -> dict[signal.Signals, Callable]:
    """Handlers for what else would end a command without a word."""

    def stop(signum: int, frame: types.FrameType | None) -> NoReturn:
        raise Stopped(signum, "stopped")

    # `nohup` has a command ignore SIGHUP.
    return {
        signum: stop
        for signum in (HANGUP, signal.SIGTERM)
        if signum and signal.getsignal(signum) == signal.SIG_DFL
    }


def _refused(error: OSError) -> str | None:
    """What the system refused, or `None` if that is a defect of ours."""
    if error.filename is not None:
        return shown(error.filename, 200) if error.errno in _REFUSALS else None
    # Nothing is named by an error of a stream, nor by one of the temporary or
    # working folder.
    for stream, name in ((sys.stdout, "output"), (sys.stderr, "error")):
        if is_broken(stream):
            drop(stream)
            return f"standard {name}"
    if error.errno == errno.ENOENT:
        return _missing_folder()
    if error.errno not in _REFUSALS:
        return None
    drop(sys.stdout)
    return "standard output"  # It may keep nothing that could fail again.


def _missing_folder() -> str:
    try:
        os.getcwd()
    except OSError:
        return "a working directory that was removed"
    return f"TMPDIR={os.environ.get('TMPDIR')!r}"
