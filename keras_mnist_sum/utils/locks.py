"""Locks on files and folders, which the system lifts when a process ends."""

import errno


def lock(descriptor: int, wait: bool = True) -> None:
    """Locks an open file or folder, until it is closed or the process ends.

    Raises:
        BlockingIOError: If another process holds the lock; not if told to
            `wait` for it.
        OSError: If this system, or this file system, has no locks.
    """
    try:
        import fcntl  # not on Windows
    except ImportError:
        raise OSError(errno.ENOLCK, "no locks on this system") from None
    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
