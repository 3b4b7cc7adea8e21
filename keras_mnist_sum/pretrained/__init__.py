"""The trained model that comes with the package; `CARD.md` says what it is."""

import hashlib
from pathlib import Path

import keras

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.loading import load_model

PATH = Path(__file__).parent / "model.keras"
_SHA256 = "da5e4cb5859686077b92116cef6975a2f73245fe0b8699c08e69849d5df22e71"


def load_pretrained() -> keras.Model:
    """Loads the model that comes with the package.

    Returns:
        A `keras.Model` as `build_model` makes it, not compiled.

    Raises:
        InputError: If the file is missing, or not the one that was shipped.
    """
    if not PATH.is_file():
        raise InputError(
            f"The package came without its model. Received: {str(PATH)!r}"
        )
    digest = hashlib.sha256(PATH.read_bytes()).hexdigest()
    if digest != _SHA256:
        raise InputError(
            f"The package's model must have the SHA-256 {_SHA256}. "
            f"Received: {digest} of {str(PATH)!r}"
        )
    return load_model(PATH)
