"""Arrays that took a while to decode, kept for the next process."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum.data import array_files
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.atomic_files import atomic_write

_LARGEST = 2**30  # bytes


def folder() -> Path:
    """Where they are kept: `keras_mnist_sum` in `$XDG_CACHE_HOME`, or in
    `~/.cache`. It may be removed at any time."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "keras_mnist_sum"


def cached(
    files: Iterable[Path], decode: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Returns what `decode()` returns, or returned for the same files before.

    The arrays are kept under the SHA-256 of the files' contents, and compared
    with their checksums as they are read. If they are damaged, or nothing can
    be kept, `decode` is called.

    Args:
        files: All files that `decode` reads, in a fixed order.
        decode: Returns arrays by name.
    """
    sha256 = hashlib.sha256()
    for file in files:
        sha256.update(file.read_bytes())
    try:
        path = folder() / f"{sha256.hexdigest()}.npz"
        with open(path, "rb") as kept:
            return array_files.read_npz(kept, None, _LARGEST)
    except RuntimeError:  # There is no home.
        return decode()
    except (OSError, ValueError):
        arrays = decode()
        with contextlib.suppress(InputError), atomic_write(path) as temporary:
            np.savez(temporary, **arrays)
        return arrays
