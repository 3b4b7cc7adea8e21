"""An opened model, the same for every format, and how one is checked.

Knows no TensorFlow.
"""

import contextlib
import os
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import BinaryIO

import numpy as np

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models.info import ModelInfo
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import INPUT_SHAPES
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils import extras
from keras_mnist_sum.utils.full_float32 import full_float32
from keras_mnist_sum.utils.quiet import silence
from keras_mnist_sum.utils.regular_files import open_regular

# From `image` and `number` to the outputs, by name.
Predict = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
# Shapes and dtypes by name: a shape begins with the batch, `None` if free.
Specs = Mapping[str, tuple[tuple[int | None, ...] | None, str | None]]

LARGEST_FILE = 2**28  # bytes
_ONE_HOT = np.eye(NUM_DIGITS, dtype="float32")


def model_inputs(
    images: np.ndarray, numbers: np.ndarray
) -> dict[str, np.ndarray]:
    """What a model takes, by name.

    Args:
        images: uint8 array of shape `(batch, 28, 28)`, 0-255.
        numbers: Integer array of shape `(batch,)`, 0-9.

    Returns:
        `image`, float32 `(batch, 28, 28, 1)` in 0-1, and `number`, float32
        one-hot `(batch, 10)`.
    """
    return {"image": image_input(images), "number": _ONE_HOT[numbers]}


def image_input(images: np.ndarray) -> np.ndarray:
    """uint8 images `(batch, 28, 28)` as float32 `(batch, 28, 28, 1)`, 0-1."""
    return images.reshape(len(images), *IMAGE_SHAPE) / np.float32(255)


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """A model, whatever it was read from.

    Attributes:
        path: What was opened.
        predict: The model, as a function from `image` and `number` to its
            outputs by name. It refuses other arrays, and fails with an
            `InputError`.
        task: What its outputs are.
        info: What the file says of the model, if it does.
        keras_model: The same as a `keras.Model`, if the file holds one.
        config: The config it was trained with, if it is a run's.
        all_numbers: The model, as a function from `image` alone to its outputs
            with each number 0-9, `(batch, 10, classes)`, if the file has one.
    """

    path: Path
    predict: Predict
    task: Task
    info: ModelInfo | None = None
    keras_model: Any = None
    config: Config | None = None
    all_numbers: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None = None


def declared_model(
    path: Path,
    run: Predict,
    inputs: Specs,
    outputs: Specs,
    info: ModelInfo | None,
    task: Task | None = None,
    keras_model: Any = None,
) -> OpenedModel:
    """Checks a model by what it declares alone. Arguments as for
    `checked_model`.

    Raises:
        InputError: If it is not a model of that task.
    """
    task = info.task if info else task or Task.named()
    _check_specs(inputs, outputs, task, str(path), bool(info))
    return OpenedModel(path, _guarded(run, path), task, info, keras_model)


def checked_model(
    path: Path,
    run: Predict,
    inputs: Specs,
    outputs: Specs,
    info: ModelInfo | None,
    task: Task | None = None,
    keras_model: Any = None,
    trial: Predict | None = None,
) -> OpenedModel:
    """Checks a model from a file, by what it declares and by a try.

    Args:
        path: What it was read from.
        run: The model.
        inputs: What it declares to take.
        outputs: What it declares to give.
        info: What the file says of it.
        task: What it computes, if the file does not say. Default: digit, sum
            and absolute difference.
        keras_model: The same as a `keras.Model`.
        trial: How the try runs it, if that is done sooner in another way.

    Raises:
        InputError: If it is not a model of that task, or cannot be run.
    """
    opened = declared_model(path, run, inputs, outputs, info, task, keras_model)
    tried = _guarded(trial or run, path)
    blank = np.zeros((2, *IMAGE_SHAPE), "uint8")
    answers = tried(model_inputs(blank, np.array([3, 4])))
    for name, (shape, _) in outputs.items():
        found = answers[name].shape
        if shape is None or found != (2, *shape[1:]):
            raise InputError(
                "A model must give what it declares. "
                f"Received: {str(path)!r} with {name} of shape {found}"
            )
    return opened


def _guarded(run: Predict, path: Path) -> Predict:
    def predict(arrays: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        check_arrays(arrays)
        try:
            with full_float32():
                return run(arrays)
        except InputError:
            raise
        except Exception as error:
            # What is wrong with a file may first show in some batch.
            raise InputError(
                "This model cannot be run. "
                f"Received: {str(path)!r} ({type(error).__name__})"
            ) from error

    return predict


def _check_specs(
    inputs: Specs, outputs: Specs, task: Task, where: str, certain: bool
) -> None:
    """Refuses what does not take and give what a model of `task` does."""
    expected = {
        name: ((None, *shape), "float32")
        for name, shape in INPUT_SHAPES.items()
    }
    fits = dict(inputs) == expected and set(outputs) == set(task)
    for name in task if fits else ():
        sizes = {task[name].num_classes} | ({1} if name != "digit" else set())
        fits &= outputs[name] in [((None, size), "float32") for size in sizes]
    if fits:
        return
    sizes_in_words = ", ".join(
        f"{name} (batch, {output.num_classes})" for name, output in task.items()
    )
    hint = "" if certain else " (of signed differences: say so by --difference)"
    raise InputError(
        f"A model must take image (batch, {', '.join(map(str, IMAGE_SHAPE))}) "
        f"and number (batch, {NUM_DIGITS}) and give {sizes_in_words}, or all "
        "but the digit as values (batch, 1), all float32, for any batch"
        f"{hint}. Received: {where} with inputs {dict(inputs)} and outputs "
        f"{dict(outputs)}"
    )


def check_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    """Refuses arrays that are not the inputs of a model.

    Raises:
        InputError: If their names, shapes or types are others, they are not
            equally many, or a pixel or a number is not finite.
    """
    found = {name: (x.shape[1:], x.dtype.name) for name, x in arrays.items()}
    expected = {name: (x, "float32") for name, x in INPUT_SHAPES.items()}
    if found != expected or len({len(x) for x in arrays.values()}) != 1:
        shapes = {name: (x.shape, x.dtype.name) for name, x in arrays.items()}
        raise InputError(
            f"A model takes image (batch, {', '.join(map(str, IMAGE_SHAPE))}) "
            f"and number (batch, {NUM_DIGITS}), both float32. "
            f"Received: {shapes}"
        )
    for name, array in arrays.items():
        # A sum is finite if all are, and costs a tenth of looking at each.
        if not np.isfinite(array.sum(dtype="float64")):
            raise InputError(
                f"`{name}` must hold finite numbers. Received: "
                f"{array[~np.isfinite(array)][:3]}..."
            )


def check_file(
    path: Path, kind: str, may_be_one: Callable[[BinaryIO], bool]
) -> None:
    """Refuses what is no model file of a `kind`, without reading all of it.

    Args:
        path: The file.
        kind: What a person calls such files.
        may_be_one: Tells it of an open file, by a few bytes here and there.

    Raises:
        InputError: If it is none, is too large or cannot be read.
    """
    with opening(path, kind), open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > LARGEST_FILE:
            raise ValueError("it is too large")
        if not may_be_one(file):
            raise ValueError(f"it is no {kind} file")


@contextlib.contextmanager
def opening(path: str | Path, kind: str) -> Iterator[None]:
    """Runs a block in silence that fails if a file is no model of a `kind`.

    Raises:
        InputError: If it fails, or a package is missing.
    """
    try:
        with silence():
            yield
    except InputError:
        raise
    except ImportError as error:
        why = f"{str(path)!r} ({error})"
        what = f"Running {kind} models"
        raise extras.missing(what, error.name or "", why) from error
    except Exception as error:
        # A damaged file surfaces as any of a dozen exceptions.
        known = type(error) is ValueError
        why = " ".join(str(error).split()) if known else type(error).__name__
        raise InputError(
            f"Cannot read this as a model for {kind}. "
            f"Received: {str(path)!r} ({why})"
        ) from error


def free_axes(sizes: list) -> tuple[int | None, ...]:
    """A shape with `None` for each size that is free: named, or -1."""
    return tuple(
        int(size) if isinstance(size, int | np.integer) and size >= 0 else None
        for size in sizes
    )
