"""Opening a model, whatever form it has: a run or a file of any format.

To add a format, write a file like the others here, with `open_file(path,
task)` and `write(model, path)`, and name it in `FORMATS`.
"""

import dataclasses
import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.quiet import import_tensorflow


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


def open_model(
    path: str | Path | None = None, difference: str | None = None
) -> OpenedModel:
    """Opens a model.

    Args:
        path: A run directory, a `.keras`, `.onnx` or `.tflite` file or a
            SavedModel directory; `None` means the newest run in `runs/`, and
            the model that comes with the package where there is no run.
        difference: `"absolute"` or `"signed"`, for a file that does not say
            what its outputs are. Default: the former.

    Raises:
        InputError: If it is none of these, or another kind of model, or it
            says itself that `difference` is another.
    """
    if path is None:
        newest = Run.newest()
        path = newest.path if newest else pretrained.checked_path("model.keras")
    path = Path(path)
    task = Task.named(difference=difference) if difference else None
    config = run_config(path)
    file = Run(path).model if config else path
    if config and not file.is_file():
        raise InputError(
            f"This run was not finished. Received: {str(path)!r}, which has "
            f"no {file.name}"
        )
    if config and not difference:
        task = config.task  # A model of the first edition does not say.
    format = format_of(file)
    if format.tensorflow:
        import_tensorflow()
    opened = format.load().open_file(file, task)
    check_difference(opened, difference)
    if not config:
        return opened
    return dataclasses.replace(opened, path=path, config=config)


def check_difference(opened: OpenedModel, difference: str | None) -> None:
    """Refuses a `difference` other than that which a model says it computes.

    Raises:
        InputError: If it is another.
    """
    if difference and opened.task != Task.named(difference=difference):
        raise InputError(
            "`difference` is for a file that does not say what its outputs "
            f"are. Received: difference={difference!r} for "
            f"{str(opened.path)!r}, of {opened.task!r}"
        )


def run_config(path: Path) -> Config | None:
    """The config of the run directory `path`, if it is one."""
    run = Run(path)
    return run.read_config() if run.has_begun else None


def format_of(path: Path) -> Format:
    """The format of the model at `path`.

    Raises:
        InputError: If it is none.
    """
    for format in FORMATS.values():
        if path.is_file() and path.suffix.lower() == format.suffix != "":
            return format
    if path.is_dir() and _holds_saved_model(path):
        return FORMATS["saved_model"]
    what = "is none of them" if path.exists() else "does not exist"
    raise InputError(
        "A model is a run directory, a .keras, .onnx or .tflite file or a "
        f"SavedModel directory. Received: {str(path)!r}, which {what}"
    )


def _holds_saved_model(path: Path) -> bool:
    patterns = ("saved_model.pb", "[0-9]*/saved_model.pb")
    return any(any(path.glob(pattern)) for pattern in patterns)
