"""Opening a model, whatever form it has: a run or a file of any format.

To add a format, write a file like the others here, with `open_file(path,
task)` and `write(model, path)`, and name it in `FORMATS`.
"""

import contextlib
import dataclasses
import importlib
import logging
import os
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.formats import trial
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import check_file
from keras_mnist_sum.formats.not_a_model import is_unpacked_keras_file
from keras_mnist_sum.formats.not_a_model import what_it_is
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.arguments import as_path
from keras_mnist_sum.utils.quiet import import_tensorflow

PathLike: TypeAlias = str | bytes | os.PathLike

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """A kind of model file.

    Attributes:
        module: The file beside this one that writes and opens it.
        name: How a file of it is called, in a folder of exports; a file is
            known by the same suffix.
        tensorflow: Whether opening one takes TensorFlow.
    """

    module: str
    name: str
    tensorflow: bool = False

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    def load(self) -> ModuleType:
        """The module, which may import TensorFlow."""
        return importlib.import_module(f"keras_mnist_sum.formats.{self.module}")


FORMATS = {
    "keras": Format("keras_file", "model.keras", tensorflow=True),
    "saved_model": Format("saved_model", "saved_model/1", tensorflow=True),
    "litert": Format("litert_file", "model.tflite"),
    "onnx": Format("onnx_file", "model.onnx"),
}

_WHAT_IT_IS = (
    "A model is a run directory, a .keras, .onnx or .tflite file or a "
    "SavedModel directory"
)


def open_model(
    path: PathLike | None = None, difference: str | None = None
) -> OpenedModel:
    """Opens a model.

    A folder with a `config.json` is a run directory, whatever else it holds. A
    SavedModel is a program, which TensorFlow runs: it is opened where its own
    folder is named, one without a `model.keras`, and the log says so.

    Args:
        path: A run directory, a `.keras`, `.onnx` or `.tflite` file, or a
            SavedModel: the folder that holds `saved_model.pb`, or one that
            holds nothing but its numbered versions, of which the highest is
            taken. `None` means the newest run in `runs/`, and the model that
            comes with the package where there is no run.
        difference: `"absolute"` or `"signed"`, for a file that does not say
            what its outputs are. Default: the former.

    Raises:
        InputError: If it is none of these, or another kind of model, or it
            says itself that `difference` is another.
    """
    if path is None:
        newest = Run.newest()
        path = newest.path if newest else pretrained.checked_path("model.keras")
    task = None
    if difference is not None:
        task = Task.named(difference=difference)
    opened = open_path(path, task)
    check_difference(opened, difference)
    return opened


def open_path(path: PathLike, task: Task | None = None) -> OpenedModel:
    """As `open_model`, for a model of any task.

    Args:
        path: As for `open_model`.
        task: What its outputs are, if it does not say.

    Raises:
        InputError: If it is no model, or another kind of model.
    """
    path = checked_path(path)
    file, format, config = _find(path)
    if config and not task:
        task = config.task  # A model of the first edition does not say.
    trying: contextlib.AbstractContextManager = contextlib.nullcontext()
    if format == FORMATS["keras"]:
        # Before TensorFlow is imported, which takes seconds.
        check_file(file, "Keras", zipfile.is_zipfile)
        if "keras" not in sys.modules:  # So there are no layers of the user's.
            trying = trial.begun("keras_file", file, task)
    with trying:
        if format.tensorflow:
            import_tensorflow(f"Opening {str(path)!r}")
        if format == FORMATS["saved_model"]:
            _logger.warning(
                "a SavedModel is a program, and TensorFlow runs it: "
                f"{str(path)!r}"
            )
        opened = format.load().open_file(file, task)
    if not config:
        return opened
    if opened.info and opened.task != config.task:
        raise InputError(
            "The model of a run must be of the task that its config says. "
            f"Received: {str(path)!r}, with {opened.task!r} and {config.task!r}"
        )
    return dataclasses.replace(opened, path=path, config=config)


def check_difference(opened: OpenedModel, difference: str | None) -> None:
    """Refuses a `difference` other than that which a model says it computes.

    Raises:
        InputError: If it is another.
    """
    if difference is None:
        return
    if opened.task != Task.named(difference=difference):
        raise InputError(
            "`difference` is for a file that does not say what its outputs "
            f"are. Received: difference={difference!r} for "
            f"{str(opened.path)!r}, of {opened.task!r}"
        )


def format_of(path: PathLike) -> Format:
    """The format of the model at `path`; nothing in it is run.

    Raises:
        InputError: If it is none.
    """
    return _find(checked_path(path))[1]


def checked_path(path: object) -> Path:
    """The path of a model that may be there.

    Raises:
        InputError: If it is no path.
    """
    return as_path(path, _WHAT_IT_IS)


def _find(path: Path) -> tuple[Path, Format, Config | None]:
    """The file or folder of the model at `path`, its format, and the config
    if it is a run's."""
    try:
        run = Run(path)
        if path.is_dir() and os.path.lexists(run.config):
            return run.model, FORMATS["keras"], _config_of(run)
        for format in FORMATS.values():
            if path.is_file() and path.suffix.lower() == format.suffix != "":
                return path, format, None
        if _is_saved_model(path) and not os.path.lexists(run.model):
            return path, FORMATS["saved_model"], None
        words = what_it_is(path)
    except OSError as error:
        words = f"cannot be read: {error.strerror}"
    raise InputError(f"{_WHAT_IT_IS}. Received: {str(path)!r}, which {words}")


def _config_of(run: Run) -> Config:
    """The config of a finished run.

    Raises:
        InputError: If it is not finished, or no run.
    """
    where = str(run.path)
    if is_unpacked_keras_file(run.path) and not run.model.exists():
        raise InputError(
            f"{_WHAT_IT_IS}. Received: {where!r}, which {what_it_is(run.path)}"
        )
    try:
        config = run.read_config()
    except InputError as error:
        raise InputError(
            f"A folder with a {run.config.name} is a run directory. "
            f"Received: {where!r}, where it is no config ({error})"
        ) from error
    if not run.model.is_file():
        hint = (
            f"; its SavedModel, a program, is {str(run.saved_model)!r}"
            if run.saved_model.is_dir()
            else ""
        )
        raise InputError(
            f"This run was not finished. Received: {where!r}, which has no "
            f"file {run.model.name}{hint}"
        )
    return config


def _is_saved_model(path: Path) -> bool:
    """Whether `path` is a SavedModel's folder, or that of its versions.

    One that is called like a file of data is not: nobody expects a program.
    """
    files = {format.suffix for format in FORMATS.values()} - {""}
    if not path.is_dir() or path.suffix.lower() in files:
        return False
    if (path / "saved_model.pb").is_file():
        return True
    inside = [x for x in path.iterdir() if not x.name.startswith(".")]
    return all(x.name.isdecimal() for x in inside) and any(
        (x / "saved_model.pb").is_file() for x in inside
    )
