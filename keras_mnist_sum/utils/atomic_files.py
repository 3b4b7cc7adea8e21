"""Files and folders that are whole, or absent."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from keras_mnist_sum.errors import InputError

PARTIAL = ".partial-"  # how the names of unfinished files and folders begin


def check_file(path: Path) -> None:
    """Checks, without writing, that a file can be written to `path`.

    Raises:
        InputError: If it is a directory, a device or a link, or not writable.
    """
    other = path.is_symlink() or (path.exists() and not path.is_file())
    if other or not may_be_created(path.absolute().parent):
        raise InputError(
            f"This must be a file that can be written. Received: {str(path)!r}"
        )


def make_folder(path: Path) -> None:
    """Makes a folder to write files to, if it is not there.

    Raises:
        InputError: If the system refuses, or files cannot be written there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(
            "This must be a folder that can be written to. "
            f"Received: {str(path)!r}"
        )


def may_be_created(folder: Path) -> bool:
    """Whether files can be written to `folder`, made first if need be."""
    ancestor = folder.absolute()
    while not ancestor.exists():
        ancestor = ancestor.parent
    return ancestor.is_dir() and os.access(ancestor, os.W_OK | os.X_OK)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write a file or folder to.

    If the block succeeds, what it wrote is renamed to `path` in one step. If it
    fails, what it wrote is removed, and `path` is what it was before.

    Raises:
        InputError: If the system refuses to write there.
    """
    # The suffix stays, since some writers choose the format by it.
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        for written in (*partial.rglob("*"), partial):
            _flush(written)
        _replace(partial, path)
        _flush(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        remove(partial)


def _replace(partial: Path, path: Path) -> None:
    if not (partial.is_dir() and path.is_dir()):
        os.replace(partial, path)
        return
    # The system lets a folder replace only an empty one.
    before = partial.with_name(f"{partial.name}-before")
    os.replace(path, before)
    try:
        os.replace(partial, path)
    except BaseException:  # Ctrl-C, too
        os.replace(before, path)
        raise
    remove(before)


def _flush(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Removes a file or folder, if it is there and the system allows it."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def cannot_write(path: Path, error: OSError) -> InputError:
    """The error to raise where the system refuses to write to `path`."""
    return InputError(
        f"Cannot write. Received: {str(path)!r} ({error.strerror or error})"
    )


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file in UTF-8.

    Raises:
        InputError: If the system refuses; what was there is then unchanged.
    """
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_text(path: Path) -> str:
    """Reads a text file.

    Raises:
        InputError: If it cannot be read as UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Cannot read this file. Received: {str(path)!r} ({error})"
        ) from error
