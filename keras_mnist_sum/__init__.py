"""Two inputs, three outputs: an MNIST digit and a number, their sum and
difference. A complete multi-input, multi-output Keras model."""

import importlib
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from keras_mnist_sum.config import Config as Config
    from keras_mnist_sum.errors import InputError as InputError
    from keras_mnist_sum.formats.keras_file import load_model as load_model
    from keras_mnist_sum.formats.pretrained import (
        load_pretrained as load_pretrained,
    )
    from keras_mnist_sum.inference.predictor import Predictor as Predictor
    from keras_mnist_sum.models.build import build_model as build_model
    from keras_mnist_sum.training.train import train as train

__version__ = "0.1.0"
__all__ = [
    "Config",
    "InputError",
    "Predictor",
    "build_model",
    "load_model",
    "load_pretrained",
    "train",
]

_HOMES = {
    "Config": "config",
    "InputError": "errors",
    "Predictor": "inference.predictor",
    "build_model": "models.build",
    "load_model": "formats.keras_file",
    "load_pretrained": "formats.pretrained",
    "train": "training.train",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: `import keras_mnist_sum` alone stays instant.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    if name in ("build_model", "load_model", "load_pretrained", "train"):
        from keras_mnist_sum.utils.quiet import import_tensorflow

        import_tensorflow()
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
