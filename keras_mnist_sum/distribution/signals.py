"""SIGINT and SIGTERM: finish the step, save, leave."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from keras_mnist_sum.distribution import heartbeat
from keras_mnist_sum.errors import Stopped


@contextlib.contextmanager
def handle_signals(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    """Handles signals in another way while the block runs.

    Outside the main thread, where Python handles no signals, nothing changes.

    Args:
        handlers: By signal, what `signal.signal` takes.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {x: signal.signal(x, handlers[x]) for x in handlers}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


class StopRequests:
    """While entered, SIGINT and SIGTERM raise `Stopped`; within `deferred()`
    they are only noted, so that the work can end where it can be resumed.

    A second signal ends the process at once, except under a launcher, which
    kills by itself. Outside the main thread, where Python handles no signals,
    nothing changes.

    Attributes:
        received: The signal that came, or `None`.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

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
        if self.received is not None:
            if heartbeat.is_watched():
                return  # The launcher repeats SIGTERM.
            os._exit(128 + signum)
        self.received = signum
        if not self._deferred:
            self._obey()

    def _obey(self) -> None:
        if self.received is not None:
            raise Stopped(self.received, "stopped, nothing is lost")
