"""SIGINT and SIGTERM: finish the step, save, leave."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from keras_mnist_sum.distribution import launcher
from keras_mnist_sum.errors import Stopped


class StopRequests:
    """While entered, SIGINT and SIGTERM raise `Stopped`; within `deferred()`
    they are noted instead, for the work to end where it can be taken up again.

    A second signal ends the process on the spot, unless a launcher sees to
    that. Outside the main thread, where Python handles no signals, nothing
    changes.

    Attributes:
        received: The signal that came, if one did.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received: int | None = None
        self._deferred = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequests":
        if threading.current_thread() is threading.main_thread():
            for signum in self.SIGNALS:
                self._before[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Leaves it to the block to look at `received`, to its end at most."""
        self._deferred = True
        yield
        self._deferred = False
        self._obey()

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if launcher.is_watched():
                return  # The first one again, or the launcher kills anyway.
            os._exit(128 + signum)
        self.received = signum
        if not self._deferred:
            self._obey()

    def _obey(self) -> None:
        if self.received is not None:
            raise Stopped(self.received, "stopped, nothing is lost")
