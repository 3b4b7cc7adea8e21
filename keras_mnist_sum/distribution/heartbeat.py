"""What a worker tells its launcher: that it gets on."""

import os
import signal
import time
from pathlib import Path

# The environment variables of a launcher's workers: the file to touch, and the
# launcher's process ID.
HEARTBEAT = "KERAS_MNIST_SUM_HEARTBEAT"
LAUNCHER = "KERAS_MNIST_SUM_LAUNCHER"


def beat() -> None:
    """Tells the launcher, if there is one, that this worker gets on.

    A worker whose launcher has ended is asked to stop, as by SIGTERM.
    """
    path = os.environ.get(HEARTBEAT)
    if path and os.getppid() == int(os.environ[LAUNCHER]):
        os.utime(path)
    elif path:
        del os.environ[HEARTBEAT]  # A second SIGTERM would kill.
        signal.raise_signal(signal.SIGTERM)


def is_watched() -> bool:
    """Whether this is a worker of a launcher."""
    return bool(os.environ.get(HEARTBEAT))


class HeartbeatFile:
    """The file that a worker touches when it gets on.

    Args:
        path: Where to make it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._touched, self._noticed = path.stat().st_mtime_ns, time.monotonic()

    def seconds_silent(self) -> float:
        """For how long nothing was heard of the worker.

        By a clock that nobody sets, and that stands still while the machine
        sleeps.
        """
        touched, now = self.path.stat().st_mtime_ns, time.monotonic()
        if touched != self._touched:
            self._touched, self._noticed = touched, now
        return now - self._noticed
