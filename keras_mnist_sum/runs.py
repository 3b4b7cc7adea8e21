"""Run directories and the files in them: whole, or absent."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from keras_mnist_sum.errors import InputError

ROOT = Path("runs")
CONFIG = "config.json"
ENVIRONMENT = "environment.json"
HISTORY = "history.csv"
MODEL = "model.keras"
SAVED_MODEL = Path("saved_model", "1")
OVERVIEW = "overview.png"
RESULTS = "results.json"


def new_run_dir(name: str) -> Path:
    """A path for a new run of `name` below `runs/`, not created yet."""
    return ROOT / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


def newest_run() -> Path | None:
    """The run below `runs/` whose model was written last, if there is any."""
    models = list(ROOT.glob(f"*/{MODEL}"))
    newest = max(models, key=lambda path: path.stat().st_mtime, default=None)
    return newest and newest.parent


def check_new(run_dir: Path) -> None:
    """Checks, without writing, that `run_dir` can become a new run.

    Raises:
        InputError: If it is not writable, or already holds something.
    """
    if run_dir.is_dir() and any(run_dir.iterdir()):
        raise InputError(
            "`run_dir` must be new or empty, so that nothing is overwritten. "
            f"Received: {str(run_dir)!r}"
        )
    if not _may_be_created(run_dir):
        raise InputError(
            f"`run_dir` must be writable. Received: {str(run_dir)!r}"
        )


def check_file(path: Path) -> None:
    """Checks, without writing, that `path` can become a file.

    Raises:
        InputError: If it is a directory, or not writable.
    """
    if path.is_dir() or not _may_be_created(path.absolute().parent):
        raise InputError(
            f"This must be a file that can be written. Received: {str(path)!r}"
        )


def _may_be_created(folder: Path) -> bool:
    ancestor = folder.absolute()
    while not ancestor.exists():
        ancestor = ancestor.parent
    return ancestor.is_dir() and os.access(ancestor, os.W_OK | os.X_OK)


def claim(run_dir: Path, config: str) -> None:
    """Makes `run_dir` this run's own, by writing its `config.json`.

    Raises:
        InputError: If another run was faster, or the system refuses.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        with open(run_dir / CONFIG, "x", encoding="utf-8") as file:
            file.write(config)
    except FileExistsError:
        raise InputError(
            f"Another run has begun there. Received: {str(run_dir)!r}"
        ) from None
    except OSError as error:
        raise InputError(
            f"Cannot write. Received: {str(run_dir)!r} ({error.strerror})"
        ) from error


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write a file or folder to.

    When the block ends well, what was written takes the name `path` in one
    step; when it fails, it is removed, and `path` is what it was before.

    Raises:
        InputError: If the system refuses to write there.
    """
    # The suffix stays: writers choose their format by it.
    aside = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        if aside.is_file():
            with open(aside, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        raise InputError(
            f"Cannot write. Received: {str(path)!r} ({error.strerror})"
        ) from error
    finally:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        elif aside.exists():
            aside.unlink()


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
