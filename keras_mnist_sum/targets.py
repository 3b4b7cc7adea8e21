"""What a command may be pointed at: a run, a `.keras` file, a SavedModel."""

from dataclasses import dataclass
from pathlib import Path

from keras_mnist_sum import evaluation
from keras_mnist_sum import exporting
from keras_mnist_sum import runs
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models import difference_of
from keras_mnist_sum.models import load_model


@dataclass(frozen=True)
class Target:
    """An opened target.

    Attributes:
        path: What was opened.
        answerer: The model, ready for `evaluation.evaluate`.
        difference: Which difference it computes.
        config: The config it was trained with, if `path` is in a run directory.
    """

    path: Path
    answerer: evaluation.Answerer
    difference: str
    config: Config | None = None


def open_target(path: Path | None = None) -> Target:
    """Opens a model, whatever form it has.

    Args:
        path: A run directory, a `.keras` file or a SavedModel directory;
            `None` means the newest run in `runs/`.

    Raises:
        InputError: If it is none of these, or does not keep the contract of
            `build_model`.
    """
    path = path or runs.newest_run()
    if exporting.is_saved_model(path):
        predict, difference = exporting.load_saved_model(path)
        answerer = evaluation.answerer_of_pairs(predict)
        return Target(path, answerer, difference, _config_near(path))
    if path.is_file():
        model_path = path
    elif (path / runs.MODEL).is_file():
        model_path = path / runs.MODEL
    elif (path / runs.CONFIG).is_file():
        raise InputError(
            f"This run was not finished. Received: {str(path)!r}, which has "
            f"no {runs.MODEL}"
        )
    else:
        what = "is none of them" if path.exists() else "does not exist"
        raise InputError(
            "A model is a run directory, a .keras file or a SavedModel "
            f"directory. Received: {str(path)!r}, which {what}"
        )
    model = load_model(model_path)
    answerer = evaluation.answerer_of_model(model)
    return Target(path, answerer, difference_of(model), _config_near(path))


def _config_near(path: Path) -> Config | None:
    """The config of the run that `path` is, or is the model of."""
    path = path.absolute()
    folder = path
    if path.name in (runs.MODEL, runs.SAVED_MODEL.parent.name):
        folder = path.parent
    elif path.parent.name == runs.SAVED_MODEL.parent.name:
        folder = path.parent.parent
    if (folder / runs.CONFIG).is_file() and (folder / runs.MODEL).is_file():
        return Config.from_json(runs.read_text(folder / runs.CONFIG))
    return None
