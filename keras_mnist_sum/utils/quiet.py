"""Native libraries without the messages that nobody can act on."""

import contextlib
import errno
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator

from keras_mnist_sum.errors import InputError


@contextlib.contextmanager
def system_errors() -> Iterator[None]:
    """What TensorFlow says of a file that the system refuses it, as an
    `OSError` (EIO) with the system's words."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        # "... path; No space left on device [Op:SaveV2]"
        why = error.message.rpartition("; ")[2].partition(" [")[0]
        raise OSError(errno.EIO, why) from error


def import_tensorflow() -> None:
    """Imports TensorFlow, if nobody has yet, and keeps its start-up silent.

    Its native libraries write to the process's standard error before any of
    their log settings apply, so that is set aside during the import. Should
    the import fail, what was said then is shown. Later messages of level INFO
    and WARNING stay off. TF_CPP_MIN_LOG_LEVEL decides about those from native
    code, and by default leaves out ERROR too where several workers train, which
    call it an error that one is done before another. On a GPU TensorFlow takes
    memory as it needs it, not all of it at once.

    Raises:
        InputError: If TensorFlow is not installed.
    """
    if "tensorflow" in sys.modules:
        return
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(
            "TensorFlow is not installed: pip install -r requirements.txt. "
            f"Received: {sys.executable}"
        )
    level = "3" if os.environ.get("TF_CONFIG") else "2"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", level)
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    with silence():
        import tensorflow

        # Looking for a GPU is what complains about there being none.
        tensorflow.config.list_physical_devices("GPU")
    # In a notebook it would tell of every file that it writes.
    tensorflow.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Sets aside what the block writes to the process's standard error, from
    native code too, and drops it.

    Should the block fail, it is shown, unless it is with an `InputError`, which
    says all that there is to say, or by Ctrl-C.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said:
        saved = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            yield
        except (InputError, KeyboardInterrupt):
            raise
        except BaseException:
            sys.stderr.flush()
            said.seek(0)
            os.write(saved, said.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
