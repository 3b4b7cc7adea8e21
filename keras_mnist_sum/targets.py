"""What a command may be pointed at: a run, a `.keras` file, a SavedModel."""

from dataclasses import dataclass
from pathlib import Path

from keras_mnist_sum import evaluation
from keras_mnist_sum import exporting
from keras_mnist_sum import runs
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.loading import load_model
from keras_mnist_sum.models import differences_of
from keras_mnist_sum.pretrained import PATH
from keras_mnist_sum.pretrained import load_pretrained


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
            `None` means the newest run in `runs/`, and the model that comes
            with the package where there is no run.

    Raises:
        InputError: If it is none of these, or does not keep the contract of
            `build_model`.
    """
    path = path or runs.newest_run()
    if path and exporting.is_saved_model(path):
        predict, differences = exporting.load_saved_model(path)
        return _target(path, evaluation.answerer_of_pairs(predict), differences)
    model = load_model(_model_file(path)) if path else load_pretrained()
    answerer = evaluation.answerer_of_model(model)
    return _target(path or PATH, answerer, differences_of(model))


def _model_file(path: Path) -> Path:
    """The `.keras` file that `path` is, or that the run at `path` left."""
    if path.is_file():
        return path
    if (path / runs.MODEL).is_file():
        return path / runs.MODEL
    if (path / runs.CONFIG).is_file():
        raise InputError(
            f"This run was not finished. Received: {str(path)!r}, which has "
            f"no {runs.MODEL}"
        )
    what = "is none of them" if path.exists() else "does not exist"
    raise InputError(
        "A model is a run directory, a .keras file or a SavedModel "
        f"directory. Received: {str(path)!r}, which {what}"
    )


def _target(
    path: Path, answerer: evaluation.Answerer, differences: tuple[str, ...]
) -> Target:
    config = _config_near(path)
    if len(differences) == 1:
        return Target(path, answerer, differences[0], config)
    if config:
        return Target(path, answerer, config.difference, config)
    raise InputError(
        "A regression does not say whether its difference is signed: name "
        f"the run directory that it is in. Received: {str(path)!r}"
    )


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
