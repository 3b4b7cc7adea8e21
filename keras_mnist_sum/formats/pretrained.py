"""The trained model that comes with the package.

`pretrained/CARD.md` says what it is. Knows no TensorFlow until the Keras model
is asked for.
"""

import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import model_inputs

if TYPE_CHECKING:
    import keras

FOLDER = Path(__file__).parents[1] / "pretrained"
SHA256 = {
    "model.keras": (
        "36dfd0cca0d10a27be1095f9dec32fde406791883357911516b04eba99cec238"
    ),
    "model.onnx": (
        "be19bb2f3279e8b4ed4896151091578fbea4b6bf8bd29772feb6ef9b0bc8ab1a"
    ),
}


def load_pretrained() -> "keras.Model":
    """Loads the model that comes with the package.

    Returns:
        A `keras.Model` as `build_model` makes it, not compiled.

    Raises:
        InputError: If the file is missing, or not the one that was shipped.
    """
    from keras_mnist_sum.formats.any_model import load_model

    return load_model(checked_path("model.keras"))


def open_pretrained() -> OpenedModel:
    """Opens the same model in ONNX Runtime, in a fraction of a second.

    Raises:
        InputError: As for `load_pretrained`, or if ONNX Runtime is not
            installed.
    """
    from keras_mnist_sum.formats import onnx_file

    return onnx_file.open_file(checked_path("model.onnx"))


def read_digits(images: np.ndarray) -> np.ndarray:
    """What this model reads in images.

    Args:
        images: uint8 array of shape `(batch, 28, 28)`.

    Returns:
        The probabilities of the digits, of shape `(batch, 10)`.

    Raises:
        InputError: As for `open_pretrained`.
    """
    inputs = model_inputs(images, np.zeros(len(images), int))
    return _opened_once().predict(inputs)["digit"]


_opened_once = functools.cache(open_pretrained)


def checked_path(name: str) -> Path:
    """The path of a file that comes with the package, as it was shipped.

    Args:
        name: `"model.keras"` or `"model.onnx"`.

    Raises:
        InputError: If it is missing, or another one.
    """
    path = FOLDER / name
    if not path.is_file():
        raise InputError(
            f"The package came without its model. Received: {str(path)!r}"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256[name]:
        raise InputError(
            f"The package's model must have the SHA-256 {SHA256[name]}. "
            f"Received: {digest} of {str(path)!r}"
        )
    return path
