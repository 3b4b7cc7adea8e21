"""Two inputs, three outputs: an MNIST digit and a number, their sum and
difference. A complete multi-input, multi-output Keras model."""

import importlib
import importlib.util
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from keras_mnist_sum import presets
    from keras_mnist_sum.config import Config
    from keras_mnist_sum.data.pipeline import training_dataset
    from keras_mnist_sum.data.sources import load_mnist
    from keras_mnist_sum.errors import InputError
    from keras_mnist_sum.evaluation.evaluate import evaluate
    from keras_mnist_sum.formats.any_model import load_model
    from keras_mnist_sum.formats.pretrained import load_pretrained
    from keras_mnist_sum.inference.answer import Answer
    from keras_mnist_sum.inference.predictor import Predictor
    from keras_mnist_sum.models.addition import build_adder
    from keras_mnist_sum.models.build import build_model
    from keras_mnist_sum.task import Task
    from keras_mnist_sum.training.optimization import compile_model
    from keras_mnist_sum.training.results import Results
    from keras_mnist_sum.training.train import train

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Config",
    "InputError",
    "Predictor",
    "Results",
    "Task",
    "build_adder",
    "build_model",
    "compile_model",
    "evaluate",
    "load_mnist",
    "load_model",
    "load_pretrained",
    "presets",
    "train",
    "training_dataset",
]

_WITH_TENSORFLOW = {
    "build_adder": "models.addition",
    "build_model": "models.build",
    "compile_model": "training.optimization",
    "evaluate": "evaluation.evaluate",
    "load_model": "formats.any_model",
    "load_pretrained": "formats.pretrained",
    "train": "training.train",
    "training_dataset": "data.pipeline",
}
_MODULES = _WITH_TENSORFLOW | {
    "Answer": "inference.answer",
    "Config": "config",
    "InputError": "errors",
    "Predictor": "inference.predictor",
    "Results": "training.results",
    "Task": "task",
    "load_mnist": "data.sources",
}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `import keras_mnist_sum` takes no time.
    if name == "presets":
        return importlib.import_module(f"{__name__}.presets")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _WITH_TENSORFLOW:
        from keras_mnist_sum.utils.quiet import import_tensorflow

        import_tensorflow(f"`{name}`")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    names = {*__all__, *(name for name in globals() if name[:2] == "__")}
    if importlib.util.find_spec("tensorflow") is None:
        names -= {*_WITH_TENSORFLOW}  # `help` would ask for all that are here.
    return sorted(names)
