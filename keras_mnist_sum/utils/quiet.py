"""Native libraries without messages that nobody can act on."""

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
    """Turns TensorFlow's errors of files into an `OSError` (EIO) with the
    system's own words."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        # "... path; No space left on device [Op:SaveV2]"
        why = error.message.rpartition("; ")[2].partition(" [")[0]
        raise OSError(errno.EIO, why) from error


def import_tensorflow() -> None:
    """Imports TensorFlow, if nobody has yet, without its start-up messages.

    Its native libraries write to standard error before any log setting
    applies, so that is silenced during the import. Later messages of level
    INFO and WARNING stay off. TF_CPP_MIN_LOG_LEVEL decides about native ones;
    by default it also leaves out ERROR where several workers train, since one
    that is done before another counts as an error there. On a GPU TensorFlow
    takes memory as it needs it, not all of it at once.

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
    """Drops what the block writes to standard error, from native code too.

    Where the block fails it is shown after all, but not for an `InputError`,
    which says all that there is to say, nor for Ctrl-C.
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
