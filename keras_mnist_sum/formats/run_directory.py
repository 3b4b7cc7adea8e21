"""A run directory: what lies where in it, and whose it is."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.atomic_files import PARTIAL
from keras_mnist_sum.utils.atomic_files import cannot_write
from keras_mnist_sum.utils.atomic_files import may_be_created
from keras_mnist_sum.utils.atomic_files import remove

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
                raise cannot_write(path, error) from error
            count += 1  # Another run began in this second.
            path = first.with_name(f"{first.name}-{count}")
        except OSError as error:
            raise cannot_write(path, error) from error


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
            if not path.name.startswith(PARTIAL)
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
        raise cannot_write(path, error) from error
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
        for litter in list(run_dir.rglob(f"{PARTIAL}*")):
            remove(litter)
        yield
