"""Files and folders that are whole, or absent."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from keras_mnist_sum.errors import InputError

PARTIAL = ".partial-"


def check_file(path: Path) -> None:
    """Checks, without writing, that `path` can become a file, or be replaced.

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
    """Whether `folder`, made if it is not there, can be written to."""
    ancestor = folder.absolute()
    while not ancestor.exists():
        ancestor = ancestor.parent
    return ancestor.is_dir() and os.access(ancestor, os.W_OK | os.X_OK)


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write a file or folder to.

    When the block ends well, what was written takes the name `path` in one
    step; when it fails, it is removed, and `path` is what it was before.

    Raises:
        InputError: If the system refuses to write there.
    """
    # The suffix stays: writers choose their format by it.
    aside = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        for written in (*aside.rglob("*"), aside):
            _flush(written)
        _replace(aside, path)
        _flush(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        remove(aside)


def _replace(aside: Path, path: Path) -> None:
    if not (aside.is_dir() and path.is_dir()):
        os.replace(aside, path)
        return
    # A folder takes the place of an empty one alone.
    before = aside.with_name(f"{aside.name}-before")
    os.replace(path, before)
    try:
        os.replace(aside, path)
    except BaseException:  # Ctrl-C, too
        os.replace(before, path)
        raise
    remove(before)


def _flush(path: Path) -> None:
    """Has the system put a file, or a folder's names, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Removes what is there, if anything is, as far as the system lets us."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(
        f"Cannot write. Received: {str(path)!r} ({error.strerror or error})"
    )


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file, or raises and leaves what was there."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


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
