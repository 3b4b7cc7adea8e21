"""Files and folders that are whole, or absent."""

import contextlib
import fnmatch
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import locks
from keras_mnist_sum.utils.arguments import as_path

# So begin the names of the folders in which something is written.
_PARTIAL = ".partial-keras_mnist_sum-"
_OURS = re.compile(re.escape(_PARTIAL) + "[a-z0-9_]{8}")
_ABANDONED = 86_400  # seconds after which a writer is dead, without locks
_LARGEST_TEXT = 2**26  # bytes
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # as Linux has them


def check_file(path: Path) -> None:
    """Checks, leaving nothing behind, that a file can be written to `path`.

    Raises:
        InputError: If it is a directory, a device or a link, or not writable.
    """
    path = as_path(path, "This must be the path of a file")
    try:
        other = path.is_symlink() or (path.exists() and not path.is_file())
    except OSError as error:
        raise cannot_write(path, error) from error
    why = "" if other else why_not_writable(path.parent)
    if other or why:
        raise InputError(
            "This must be a file that can be written. "
            f"Received: {str(path)!r}{why and f' ({why})'}"
        )


def make_folder(path: Path) -> None:
    """Makes a folder to write files to, if it is not there.

    Raises:
        InputError: If the system refuses, or files cannot be written there.
    """
    path = as_path(path, "This must be the path of a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    why = why_not_writable(path)
    if why:
        raise InputError(
            "This must be a folder that can be written to. "
            f"Received: {str(path)!r} ({why})"
        )


def why_not_writable(folder: Path) -> str:
    """Why files cannot be written to `folder`, made first if need be; an empty
    string if they can.

    It is tried: a system may refuse what the permissions allow.
    """
    try:
        while not os.path.lexists(folder):
            folder = folder.parent
        tried = tempfile.mkdtemp(prefix=_PARTIAL, dir=folder)
    except OSError as error:
        return error.strerror or str(error)
    remove(Path(tried))
    return ""


def is_utf8(path: Path) -> bool:
    """Whether the path is text: names of files may hold any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def why_not_for_tensorflow(path: Path) -> str:
    """Why TensorFlow reads no SavedModel there; empty if it does."""
    name = os.path.abspath(path)
    if not is_utf8(path):
        return "it reads names in UTF-8 alone"
    if "\\" in name or not fnmatch.fnmatchcase(name, name):
        return "it takes \\ and [...] for a pattern"
    return ""


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path to write a file or folder to.

    If the block succeeds, what it wrote is renamed to `path` in one step, with
    the permissions of what was there. If it fails, what it wrote is removed,
    and `path` is what it was before. What a killed process left there half
    written is removed, too.

    Raises:
        InputError: If the system refuses to write there.
    """
    path = as_path(path, "This must be the path of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path.parent)
        with _own_folder(path.parent) as folder:
            # The suffix stays, since some writers choose the format by it.
            partial = folder / f"_{path.suffix}"
            yield partial
            if path.exists() and path.is_dir() == partial.is_dir():
                shutil.copymode(path, partial)
            for written in (*partial.rglob("*"), partial):
                _flush(written)
            _replace(partial, path)
            with contextlib.suppress(PermissionError):  # to list it
                _flush(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


@contextlib.contextmanager
def _own_folder(parent: Path) -> Iterator[Path]:
    """A new folder for one writer, who holds a lock on it: by its random name
    nobody else writes to it, and by the lock nobody removes it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=parent))
        lock = _lock(folder)
        try:
            # Until it was locked, it looked as if abandoned.
            if folder.exists():
                yield folder
                return
        finally:
            remove(folder)
            if lock is not None:
                os.close(lock)


def is_partial(name: str) -> bool:
    """Whether a folder is called as one in which something is written."""
    return bool(_OURS.fullmatch(name))


def remove_abandoned(parent: Path) -> None:
    """Removes what killed writers left in a folder, and nothing else."""
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        folders = [
            Path(entry)
            for entry in entries
            if is_partial(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
        for folder in folders:
            with contextlib.suppress(OSError):
                _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    """Raises `BlockingIOError` where its writer lives."""
    lock = _lock(folder, wait=False)
    if lock is not None:
        remove(folder)
        os.close(lock)
    elif time.time() - folder.stat().st_mtime > _ABANDONED:
        remove(folder)


def _lock(folder: Path, wait: bool = True) -> int | None:
    """A descriptor with the lock of a folder, which closing it lifts.

    Returns:
        `None` where there are no locks: not every file system has them.

    Raises:
        BlockingIOError: If another process has it, unless told to `wait`.
    """
    descriptor = None
    try:
        # Neither a link nor a pipe is opened.
        kind = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(folder, os.O_RDONLY | kind)
        locks.lock(descriptor, wait)
        return descriptor
    except OSError as error:
        if descriptor is not None:
            os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None


def _replace(partial: Path, path: Path) -> None:
    if not (partial.is_dir() and path.is_dir()):
        os.replace(partial, path)
        return
    # The system lets a folder replace only an empty one.
    if _exchange(partial, path):
        return
    before = partial.with_name("before")
    os.replace(path, before)
    try:
        os.replace(partial, path)
    except BaseException:  # Ctrl-C, too
        os.replace(before, path)
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step, or returns that the system cannot."""
    try:
        import ctypes

        rename = ctypes.CDLL(None).renameat2  # Linux's
    except (ImportError, AttributeError, OSError, TypeError):
        return False
    first, second = os.fsencode(one), os.fsencode(other)
    return not rename(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE)


def _flush(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    if os.name == "nt":  # It flushes nothing that is opened to be read.
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Removes a file or folder, if it is there and the system allows it."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
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
        # The name of a file may hold what is no character.
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_text(path: Path) -> str:
    """Reads a text file.

    Raises:
        InputError: If it cannot be read as UTF-8 text, or is no plain file, or
            larger than 64 MB.
    """
    path = as_path(path, "This must be the path of a file")
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # A pipe would be waited for.
            raise OSError("it is no plain file")
        if found.st_size > _LARGEST_TEXT:
            raise OSError("it is too large")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"Cannot read this file. Received: {str(path)!r} ({why})"
        ) from error
