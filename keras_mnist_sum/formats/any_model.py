"""A model in whatever form a caller has it: in memory, opened, or a path."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import declared_model
from keras_mnist_sum.formats.open import FORMATS
from keras_mnist_sum.formats.open import PathLike
from keras_mnist_sum.formats.open import check_difference
from keras_mnist_sum.formats.open import format_of
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.formats.open import open_path
from keras_mnist_sum.task import Task

if TYPE_CHECKING:
    import keras

AnyModel: TypeAlias = OpenedModel | PathLike | Any  # Any: a keras.Model
IN_MEMORY = Path("a model in memory")  # in place of a path


def as_opened(model: AnyModel, task: Task | None = None) -> OpenedModel:
    """The opened model that `model` stands for.

    Args:
        model: One that is opened already; a `keras.Model` as `build_model`
            makes it, which stays as it is; or a path as for `open_model`.
        task: What its outputs are, if it does not say. Default: digit, sum and
            absolute difference.

    Raises:
        InputError: If it is none of these or another kind of model, or says
            itself that its task is another.
    """
    if task is not None and not isinstance(task, Task):
        raise InputError(
            f"`task` must be a `Task`. Received: {type(task).__name__}"
        )
    if is_keras_model(model):
        opened = _opened_in_memory(model, task)
    elif isinstance(model, OpenedModel):
        opened = model
    else:
        opened = open_path(model, task)
    if task not in (None, opened.task):
        raise InputError(
            "`task` must be the model's own. "
            f"Received: {task} for a model of {opened.task}"
        )
    return opened


def is_keras_model(model: object) -> bool:
    """Whether it is a `keras.Model`; imports no Keras."""
    keras = sys.modules.get("keras")  # Without it, there is no such model.
    return keras is not None and isinstance(model, keras.Model)


def _opened_in_memory(model: "keras.Model", task: Task | None) -> OpenedModel:
    from keras_mnist_sum.formats.keras_file import io_specs
    from keras_mnist_sum.models.build import info_of

    # It is the caller's own, and stays as it is: it is not tried.
    return declared_model(
        IN_MEMORY,
        model.predict_on_batch,
        *io_specs(model),
        info_of(model),
        task,
        keras_model=model,
    )


def load_model(model: AnyModel, difference: str | None = None) -> "keras.Model":
    """Loads the Keras model of a run or of a `.keras` file.

    It is read as data: nothing in it is executed.

    Args:
        model: A run directory or a `.keras` file, or what `open_model` made of
            one. A `keras.Model` is only checked.
        difference: As for `open_model`.

    Returns:
        A `keras.Model` as `build_model` makes it; from a file, not compiled.

    Raises:
        InputError: If it is missing, damaged, too large or another kind of
            model.
    """
    if not isinstance(model, PathLike):
        opened = as_opened(model)
        check_difference(opened, difference)
    elif format_of(model) == FORMATS["keras"]:  # No program is run for this.
        opened = open_model(model, difference)
    else:
        opened = None
    if opened is None or opened.keras_model is None:
        path = opened.path if opened else model
        raise InputError(
            "This takes a Keras model: a run directory or a .keras file. "
            f"Received: {path!s}, which was exported from one"
        )
    return opened.keras_model
