"""What a command may be pointed at: a run, a model file, a SavedModel."""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import Mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation import evaluate
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.formats import runtimes
from keras_mnist_sum.formats import saved_model
from keras_mnist_sum.formats.contract import Predict
from keras_mnist_sum.formats.keras_file import load_model
from keras_mnist_sum.formats.pretrained import PATH
from keras_mnist_sum.formats.pretrained import load_pretrained
from keras_mnist_sum.models.build import differences_of
from keras_mnist_sum.models.build import learned_tables
from keras_mnist_sum.utils import atomic_files


@dataclass(frozen=True)
class Target:
    """An opened target.

    Attributes:
        path: What was opened.
        predict: The model, as a function from `image` and `number` to the
            outputs by name.
        answerer: The same, ready for `evaluation.ask`.
        difference: Which difference it computes.
        config: The config it was trained with, if `path` is in a run directory.
        tables: The tables that it learned, as `models.learned_tables` returns
            them; empty where it has none, or the format hides them.
    """

    path: Path
    predict: Predict
    answerer: evaluate.Answerer
    difference: str
    config: Config | None = None
    tables: dict[str, np.ndarray] = field(default_factory=dict)

    def describe(self) -> str:
        """What was opened, in a line for a person."""
        if self.path == PATH:
            return "the model that comes with the package"
        if self.config is None:
            return str(self.path)
        return (
            f"{self.path}: preset {self.config.preset}, head "
            f"{self.config.head}, {self.config.steps:,} steps of "
            f"{self.config.batch_size}, seed {self.config.seed}"
        )


def open_target(path: Path | None = None) -> Target:
    """Opens a model, whatever form it has.

    Args:
        path: A run directory, a `.keras`, `.onnx` or `.tflite` file or a
            SavedModel directory; `None` means the newest run in `runs/`, and
            the model that comes with the package where there is no run.

    Raises:
        InputError: If it is none of these, or does not keep the contract of
            `build_model`.
    """
    path = path or run_directory.newest_run()
    load = _reader(path) if path else None
    if path and load:
        predict, differences = load(path)
        answerer = evaluate.answerer_of_pairs(predict)
        return _target(path, predict, answerer, differences)
    path, model = open_model(path)
    answerer = evaluate.answerer_of_model(model)
    target = _target(
        path, model.predict_on_batch, answerer, differences_of(model)
    )
    return replace(target, tables=learned_tables(model))


def open_model(path: Path | None = None) -> tuple[Path, keras.Model]:
    """Opens a Keras model.

    Args:
        path: A run directory or a `.keras` file; `None` as for `open_target`.

    Returns:
        What was opened, and the model, not compiled.

    Raises:
        InputError: If it is neither, or does not keep the contract.
    """
    path = path or run_directory.newest_run()
    if path is None:
        return PATH, load_pretrained()
    if _reader(path):
        raise InputError(
            "This takes a Keras model: a run directory or a .keras file. "
            f"Received: {str(path)!r}, which was exported from one"
        )
    return path, load_model(_model_file(path))


def load_data(
    config: Config | None,
    data: str | None,
    data_dir: str | None,
    test_only: bool = False,
) -> Mnist:
    """Loads MNIST from where a command says, else from where a run had it,
    and prints what is to be known of that.

    Args:
        config: The run's.
        data: As for `load_mnist`; `None` if the command does not say.
        data_dir: The same.
        test_only: As for `load_mnist`.

    Raises:
        InputError: If the data cannot be used.
    """
    if config and data in (None, config.data):
        data = config.data
        # On another machine, it may lie elsewhere.
        if config.data_dir and Path(config.data_dir).is_dir():
            data_dir = data_dir or config.data_dir
    mnist = load_mnist(data or "auto", data_dir, test_only, say=print)
    if mnist.warning:
        print(f"WARNING: {mnist.warning}")
    return mnist


def _reader(path: Path) -> Callable | None:
    """What opens `path`, if it is no Keras model."""
    if saved_model.is_saved_model(path):
        return saved_model.load_saved_model
    return runtimes.loader(path)


def _model_file(path: Path) -> Path:
    """The `.keras` file that `path` is, or that the run at `path` left."""
    if path.is_file():
        return path
    if (path / run_directory.MODEL).is_file():
        return path / run_directory.MODEL
    if (path / run_directory.CONFIG).is_file():
        raise InputError(
            f"This run was not finished. Received: {str(path)!r}, which has "
            f"no {run_directory.MODEL}"
        )
    what = "is none of them" if path.exists() else "does not exist"
    raise InputError(
        "A model is a run directory, a .keras, .onnx or .tflite file or a "
        f"SavedModel directory. Received: {str(path)!r}, which {what}"
    )


def _target(
    path: Path,
    predict: Predict,
    answerer: evaluate.Answerer,
    differences: tuple[str, ...],
) -> Target:
    config = config_near(path)
    if len(differences) == 1:
        return Target(path, predict, answerer, differences[0], config)
    if config:
        return Target(path, predict, answerer, config.difference, config)
    raise InputError(
        "A regression does not say whether its difference is signed: name "
        f"the run directory that it is in. Received: {str(path)!r}"
    )


def config_near(path: Path) -> Config | None:
    """The config of the run that `path` is, or is the model of."""
    path = path.absolute()
    folder = path
    files = (
        run_directory.MODEL,
        run_directory.ONNX,
        run_directory.LITERT,
        run_directory.LITERT_INT8,
    )
    if path.name in (*files, run_directory.SAVED_MODEL.parent.name):
        folder = path.parent
    elif path.parent.name == run_directory.SAVED_MODEL.parent.name:
        folder = path.parent.parent
    if (folder / run_directory.CONFIG).is_file() and (
        folder / run_directory.MODEL
    ).is_file():
        return Config.from_json(
            atomic_files.read_text(folder / run_directory.CONFIG)
        )
    return None
