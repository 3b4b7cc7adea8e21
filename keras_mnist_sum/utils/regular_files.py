"""Regular files, opened to read: a pipe or a device may have no end."""

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path


class NotRegular(OSError):
    """Raised for what is no regular file, or changes while it is read."""


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[io.BufferedReader]:
    """Opens a regular file to read.

    Raises:
        NotRegular: If it is another kind of file, or has changed when the block
            ends.
        OSError: If the system does not let it be read.
    """
    # Opening some devices does something: they are not even opened.
    if path.exists() and not path.is_file():
        raise NotRegular("it is no regular file")
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise NotRegular("it is no regular file")
        yield file
        after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (
        after.st_size,
        after.st_mtime_ns,
    ):
        raise NotRegular("it changed while it was read")
