"""The trained model that comes with the package; `CARD.md` says what it is.

Knows no TensorFlow until the Keras model is asked for.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.contract import Predict
from keras_mnist_sum.formats.runtimes import load_onnx

if TYPE_CHECKING:
    import keras

PATH = Path(__file__).parents[1] / "pretrained" / "model.keras"
ONNX_PATH = PATH.with_suffix(".onnx")
_SHA256 = "da5e4cb5859686077b92116cef6975a2f73245fe0b8699c08e69849d5df22e71"
_ONNX_SHA256 = (
    "a752a52a0e7f117974d389a639488eccbf50a411ce61d6f2258266b054847ab0"
)


def load_pretrained() -> "keras.Model":
    """Loads the model that comes with the package.

    Returns:
        A `keras.Model` as `build_model` makes it, not compiled.

    Raises:
        InputError: If the file is missing, or not the one that was shipped.
    """
    from keras_mnist_sum.formats.keras_file import load_model

    _check(PATH, _SHA256)
    return load_model(PATH)


def load_pretrained_onnx() -> tuple[Predict, tuple[str, ...]]:
    """Loads the same model for ONNX Runtime, in a fraction of a second.

    Returns:
        As `runtimes.load_onnx`.

    Raises:
        InputError: As for `load_pretrained`, or if ONNX Runtime is not
            installed.
    """
    _check(ONNX_PATH, _ONNX_SHA256)
    return load_onnx(ONNX_PATH)


def _check(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise InputError(
            f"The package came without its model. Received: {str(path)!r}"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256:
        raise InputError(
            f"The package's model must have the SHA-256 {sha256}. "
            f"Received: {digest} of {str(path)!r}"
        )
