"""Arrays that took a while to decode, kept for the next process."""

import contextlib
import errno
import hashlib
import io
import os
from collections.abc import Callable
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum.data import array_files
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.atomic_files import atomic_write
from keras_mnist_sum.utils.atomic_files import remove
from keras_mnist_sum.utils.regular_files import open_regular

_LARGEST = 2**30  # bytes
_MOST_FILES = 8  # that are kept, the newest

# What is being looked up, by the files that `decode` would read.
_begun: dict[tuple[Path, ...], Future] = {}


def folder() -> Path:
    """Where they are kept: `keras_mnist_sum` in `$XDG_CACHE_HOME`, or in
    `~/.cache`. It may be removed at any time."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "keras_mnist_sum"


def cached(
    files: Iterable[Path],
    decode: Callable[[], dict[str, Any]],
    purpose: str = "",
    largest: int = 2**33,
) -> dict[str, Any]:
    """Returns what `decode()` returns, or returned for the same files before.

    The arrays are kept under the SHA-256 of the files' contents, behind one of
    that and of their own content together. If they do not fit it, or nothing
    can be kept, `decode` is called.

    Args:
        files: All files that `decode` reads, in a fixed order.
        decode: Returns arrays by name.
        purpose: What else the arrays depend on.
        largest: The most bytes that a file may have.

    Raises:
        OSError: If a file is no regular one or too large, or changes meanwhile.
    """
    read = tuple(files)
    begun = None if purpose else _begun.pop(read, None)
    if begun:
        source, arrays = begun.result()
    else:
        source, arrays = _look_up(read, purpose, largest)
    if arrays is not None:
        return arrays
    arrays = decode()
    if _digest(read, purpose) != source:
        raise OSError("it changed while it was read")
    try:
        path = _path(source)
    except RuntimeError:  # There is no home.
        return arrays
    file = io.BytesIO()
    np.savez(file, **arrays)
    with contextlib.suppress(InputError), atomic_write(path) as temporary:
        temporary.write_bytes(_seal(source, file.getvalue()) + file.getvalue())
    _remove_old()
    return arrays


def look_up_ahead(files: Iterable[Path], largest: int) -> Future:
    """Begins to look up, in a thread, what `cached` will be asked for.

    Args:
        files: All files that `decode` will read, in a fixed order.
        largest: The most bytes that a file may have.

    Returns:
        What is done when all is read.
    """
    read = tuple(files)
    pool = ThreadPoolExecutor(1)
    _begun[read] = pool.submit(_look_up, read, "", largest)
    pool.shutdown(wait=False)
    return _begun[read]


def _look_up(
    files: tuple[Path, ...], purpose: str, largest: int
) -> tuple[str, dict[str, Any] | None]:
    """The digest of the files, and the arrays that are kept for it, if any."""
    for each in files:  # Before any of them is read.
        if os.stat(each).st_size > largest:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(each))
    source = _digest(files, purpose)
    try:
        with open_regular(_path(source)) as kept:
            seal = kept.readline(200)
            content = kept.read(_LARGEST)
        if seal == _seal(source, content):
            file = io.BytesIO(content)
            return source, array_files.read_npz(file, None, _LARGEST)
    except (OSError, ValueError, RuntimeError):
        pass
    return source, None


def _path(source: str) -> Path:
    return folder() / f"{source}.npz"


def _digest(files: tuple[Path, ...], purpose: str) -> str:
    sha256 = hashlib.sha256()
    for path in files:
        with open_regular(path) as file:
            while chunk := file.read(2**20):
                sha256.update(chunk)
    sha256.update(purpose.encode())
    return sha256.hexdigest()


def _seal(source: str, content: bytes | memoryview) -> bytes:
    """The first line of a file: what it belongs to, with what is in it."""
    sha256 = hashlib.sha256(source.encode())
    sha256.update(content)
    return b"keras_mnist_sum " + sha256.hexdigest().encode() + b"\n"


def _remove_old() -> None:
    with contextlib.suppress(OSError):
        kept = sorted(folder().glob("*.npz"), key=lambda x: -x.stat().st_mtime)
        for path in kept[_MOST_FILES:]:
            remove(path)
