"""Run directories and the files in them: whole, or absent."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

from keras_mnist_sum.errors import InputError

ROOT = Path("runs")
CONFIG = "config.json"
ENVIRONMENT = "environment.json"
HISTORY = "history.csv"
MODEL = "model.keras"
SAVED_MODEL = Path("saved_model", "1")
LITERT = "model.tflite"
LITERT_INT8 = "model_int8.tflite"
ONNX = "model.onnx"
OVERVIEW = "overview.png"
CURVES = "curves.png"
TENSORBOARD = "tensorboard"
REPORT = "report"
RESULTS = "results.json"
CHECKPOINTS = "checkpoints"

_ASIDE = ".partial-"


def new_run_dir(name: str) -> Path:
    """Makes a directory of its own for a new run of `name`, below `runs/`.

    Raises:
        InputError: If the system refuses.
    """
    first = ROOT / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, count = first, 1
    while True:
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError as error:
            if not os.path.lexists(path):  # `runs` is no folder.
                raise _cannot_write(path, error) from error
            count += 1  # Another run began in this second.
            path = first.with_name(f"{first.name}-{count}")
        except OSError as error:
            raise _cannot_write(path, error) from error


def newest_run() -> Path | None:
    """The run below `runs/` whose model was written last, if there is any."""
    models = list(ROOT.glob(f"*/{MODEL}"))
    newest = max(models, key=lambda path: path.stat().st_mtime, default=None)
    return newest and newest.parent


def check_usable(run_dir: Path) -> None:
    """Checks, without writing, that `run_dir` is a run or can become one.

    Raises:
        InputError: If it is not writable, or holds something else.
    """
    if run_dir.is_dir() and not (run_dir / CONFIG).is_file():
        # What a run leaves that was killed before its config was written.
        ours = {CHECKPOINTS, str(Path(CHECKPOINTS, "lock"))}
        others = {
            str(path.relative_to(run_dir))
            for pattern in ("*", f"{CHECKPOINTS}/*")
            for path in run_dir.glob(pattern)
            if not path.name.startswith(_ASIDE)
        } - ours
        if others:
            raise InputError(
                "`run_dir` must be new, empty, or a run to go on with, so that "
                f"nothing is overwritten. Received: {str(run_dir)!r}, which "
                f"holds {min(others)}"
            )
    if not may_be_created(run_dir):
        raise InputError(
            f"`run_dir` must be writable. Received: {str(run_dir)!r}"
        )


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
        raise _cannot_write(path, error) from error
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
def locked(run_dir: Path, warn: Callable[[str], object]) -> Iterator[None]:
    """Keeps other processes out of `run_dir` while the block runs.

    The system lifts the lock when the process ends, however it ends. What a
    process that was killed left half-written is removed.

    Args:
        run_dir: A directory, which is made if it is not there.
        warn: Told where the file system has no locks.

    Raises:
        InputError: If another process holds the lock, or the system refuses.
    """
    path = run_dir / CHECKPOINTS / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a")
    except OSError as error:
        raise _cannot_write(path, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"Another process is training there. Received: {str(run_dir)!r}"
            ) from None
        except OSError as error:
            warn(
                "nothing keeps a second process from training there: no locks "
                f"on the file system of {str(run_dir)!r} ({error.strerror})"
            )
        for litter in list(run_dir.rglob(f"{_ASIDE}*")):
            _remove(litter)
        yield


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write a file or folder to.

    When the block ends well, what was written takes the name `path` in one
    step; when it fails, it is removed, and `path` is what it was before.

    Raises:
        InputError: If the system refuses to write there.
    """
    # The suffix stays: writers choose their format by it.
    aside = path.with_name(f"{_ASIDE}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        for written in (*aside.rglob("*"), aside):
            _flush(written)
        _replace(aside, path)
        _flush(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        _remove(aside)


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
    _remove(before)


def _flush(path: Path) -> None:
    """Has the system put a file, or a folder's names, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Removes what is there, if anything is, as far as the system lets us."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _cannot_write(path: Path, error: OSError) -> InputError:
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
