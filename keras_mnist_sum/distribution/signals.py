"""SIGINT, SIGTERM and SIGHUP: finish the step, save, leave."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from keras_mnist_sum.distribution import heartbeat
from keras_mnist_sum.errors import Stopped
from keras_mnist_sum.utils.standard_streams import drop

HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none.
_STEP = "SLURM_STEP_ID"  # of what srun starts


@contextlib.contextmanager
def handle_signals(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    """Handles signals in another way while the block runs.

    Outside the main thread, where Python handles no signals, nothing changes.
    Nor does SIGHUP where it is ignored, as under `nohup`.

    Args:
        handlers: By signal, what `signal.signal` takes.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {
            x: signal.signal(x, handler)
            for x, handler in handlers.items()
            if x != HANGUP or signal.getsignal(x) != signal.SIG_IGN
        }
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def drop_lost_terminal() -> None:
    """Sends output nowhere if the terminal that it went to is gone, as after
    SIGHUP: printing would fail, and end what only has to be saved."""
    for stream in (sys.stdout, sys.stderr):
        try:
            os.write(stream.fileno(), b"")
        except (AttributeError, OSError, ValueError):  # Some are no files.
            drop(stream)


class StopRequests:
    """While entered, SIGINT, SIGTERM and SIGHUP raise `Stopped`; within
    `deferred()` they are only noted, so that the work can end where it can be
    resumed.

    A second signal ends the process at once, except under a launcher or, for
    SIGTERM, Slurm, which kill by themselves, and except SIGHUP: of a closed
    terminal a process may hear from its shell and from the system. Outside the
    main thread, where Python handles no signals, nothing changes.

    Attributes:
        received: The signal that came, or `None`.
    """

    SIGNALS: tuple[signal.Signals, ...] = (
        signal.SIGINT,
        signal.SIGTERM,
        *filter(None, [HANGUP]),
    )

    def __init__(self) -> None:
        self.received: int | None = None
        self._deferred = False
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "StopRequests":
        handlers = dict.fromkeys(self.SIGNALS, self._handle)
        self._stack.enter_context(handle_signals(handlers))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Leaves it to the block to look at `received`, until it ends."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        self._obey()

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if signum == HANGUP:
            drop_lost_terminal()
        if self.received is not None:
            # The launcher repeats SIGTERM, and so does Slurm when a task of
            # the same step has ended, or time is up.
            by_slurm = signum == signal.SIGTERM and _STEP in os.environ
            if heartbeat.is_watched() or by_slurm or signum == HANGUP:
                return
            os._exit(128 + signum)
        self.received = signum
        if not self._deferred:
            self._obey()

    def _obey(self) -> None:
        if self.received is not None:
            raise Stopped(self.received, "stopped, nothing is lost")
