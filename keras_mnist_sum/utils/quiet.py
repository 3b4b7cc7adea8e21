"""Native libraries without messages that nobody can act on."""

import collections
import contextlib
import errno
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import BinaryIO
from typing import Literal

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import extras
from keras_mnist_sum.utils import fast_imports
from keras_mnist_sum.utils.console import waiting

# Keras imports these where they are installed, and it takes half of the time:
# for tables as inputs, for wrappers, galleries and notebooks.
_NOT_FOR_COMMANDS = ("pandas", "sklearn", "matplotlib.pyplot", "IPython")
_silent = threading.RLock()
_filtering = threading.Lock()
_filters: collections.Counter = collections.Counter()  # of blocks that run now


@contextlib.contextmanager
def system_errors() -> Iterator[None]:
    """Turns TensorFlow's errors of files into an `OSError` (EIO) with the
    system's own words."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        # "... path; No space left on device [Op:SaveV2]"
        why = error.message.rpartition("; ")[2].partition(" [")[0]
        raise OSError(errno.EIO, why) from error


def import_tensorflow(what: str = "This") -> None:
    """Imports TensorFlow, if nobody has yet, without its start-up messages.

    Its native libraries write to standard error before any log setting
    applies, so that is silenced during the import. Later messages of level
    INFO and WARNING stay off. TF_CPP_MIN_LOG_LEVEL decides about native ones;
    by default it also leaves out ERROR where several workers train, since one
    that is done before another counts as an error there. On a GPU TensorFlow
    takes memory as it needs it, not all of it at once. In a command, Keras does
    without pandas and others that it would take along.

    Args:
        what: What needs it, for the error that says so.

    Raises:
        MissingPackageError: If TensorFlow is not installed.
        InputError: If it finds no folder for temporary files, or Keras cannot
            start.
    """
    # It is read when TensorFlow first uses a GPU.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if sys.modules.get("tensorflow"):
        return
    for package in ("tensorflow", "keras"):
        extras.check(package, what)
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise InputError(
            "TensorFlow needs a folder for temporary files: set TMPDIR to one "
            "that can be written to. Received: "
            f"TMPDIR={os.environ.get('TMPDIR')!r}"
        ) from error
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    level = "3" if os.environ.get("TF_CONFIG") or tasks != "1" else "2"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", level)
    # Of a wrong flag TensorFlow says so and ends the process.
    loud = "TF_XLA_FLAGS" in os.environ
    hushed = contextlib.nullcontext() if loud else silence()
    is_command = fast_imports.is_command
    with (
        waiting("starting TensorFlow"),
        without_matplotlib_backend(),  # Keras imports Matplotlib.
        fast_imports.without_collection(for_good=is_command),
        fast_imports.without(_NOT_FOR_COMMANDS if is_command else ()),
        hushed,
    ):
        import tensorflow

        try:
            # Looking for a GPU is what complains about there being none.
            tensorflow.config.list_physical_devices("GPU")
        except tensorflow.errors.OpError as error:
            raise InputError(
                "NVIDIA's driver does not work: see nvidia-smi. "
                f"Received: {' '.join(error.message.split())[:200]}"
            ) from error
        try:
            import keras  # noqa: F401
        except Exception as error:
            # It reads the user's settings, and fails at them in many ways.
            raise InputError(
                "Keras cannot start: see KERAS_BACKEND and keras.json. "
                f"Received: {type(error).__name__}: {error}"
            ) from error
    # In a notebook it would tell of every file that it writes.
    tensorflow.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def without_matplotlib_backend() -> Iterator[None]:
    """Hides MPLBACKEND from the block, which imports Matplotlib.

    That refuses one that is none. Nothing here needs a backend: figures are
    drawn without pyplot.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        yield
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


@contextlib.contextmanager
def filtered_warnings(
    action: Literal["error", "ignore"], message: str = "", module: str = ""
) -> Iterator[None]:
    """Filters Python's warnings in the block as `warnings.filterwarnings` does.

    Several threads may: `warnings.catch_warnings`, which puts back all filters
    of the process, would put back those of another block.
    """
    # A comment, so that it equals no filter of the user's.
    message = f"(?#keras_mnist_sum){message}"
    with _filtering:
        warnings.filterwarnings(action, message, module=module)
        mine = warnings.filters[0]
        _filters[mine] += 1
    try:
        yield
    finally:
        with _filtering:
            _filters[mine] -= 1
            if not _filters[mine]:
                with contextlib.suppress(ValueError):
                    warnings.filters.remove(mine)  # type: ignore[attr-defined]


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Drops what the block writes to standard error, from native code too.

    Where the block fails it is shown after all, but not for an `InputError`,
    which says all that there is to say, nor for Ctrl-C. Another thread that
    would be silent waits: there is one standard error.
    """
    with _silent, _silence():
        yield


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    try:
        saved = os.dup(2)
    except OSError:  # It is closed.
        yield
        return
    _flush()
    with _scratch_file() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except (InputError, KeyboardInterrupt):
            raise
        except BaseException:
            _flush()
            said.seek(0)
            os.write(saved, said.read())
            raise
        finally:
            _flush()
            os.dup2(saved, 2)
            os.close(saved)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


def _scratch_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):  # It needs no writable folder.
        return open(os.memfd_create("said"), "w+b")
    return tempfile.TemporaryFile()
