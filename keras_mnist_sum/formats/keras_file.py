"""`.keras` files, read as data and within limits.

No model is built that would have more weights than its file holds.
"""

import contextlib
import copy
import io
import json
import math
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import keras_archive
from keras_mnist_sum.formats import trial
from keras_mnist_sum.formats.model_file import LARGEST_FILE
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import Specs
from keras_mnist_sum.formats.model_file import check_file
from keras_mnist_sum.formats.model_file import checked_model
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.models.build import info_of
from keras_mnist_sum.models.build import kept_random_state
from keras_mnist_sum.models.xla import without_xla
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.quiet import filtered_warnings
from keras_mnist_sum.utils.regular_files import open_regular


def open_file(path: Path, task: Task | None = None) -> OpenedModel:
    """Opens a `.keras` file, tried before in a process of its own.

    One with a layer that is allowed in this process alone is not tried.
    Arguments and errors as for `checked_model`.
    """
    if not path.is_file():
        raise InputError(f"No such model file. Received: {str(path)!r}")
    check_file(path, "Keras", zipfile.is_zipfile)
    with _opening(path), open_regular(path) as file:
        own = keras_archive.has_own_layers(keras_archive.read_config(file))
    if own:
        with _opening(path), open_regular(path) as file:
            content = file.read()
    else:
        content = trial.read_tried("keras_file", path, task)
    return open_content(path, content, task)


def open_content(
    path: Path, content: bytes, task: Task | None = None
) -> OpenedModel:
    """The same, of the `content` of a file that is believed."""
    with _opening(path):
        config = keras_archive.read_config(io.BytesIO(content))
        weights = keras_archive.read_weights(io.BytesIO(content))
        with kept_random_state():
            _check_size(config, keras_archive.count_stored(weights))
            model = without_xla(_build(config))
        # Keras warns where it leaves weights as they start.
        with filtered_warnings("error", module=r"keras\.src\.saving"):
            model.load_weights(_WeightsFile(weights))
        info = info_of(model)
    # Some parts tell only by a call that they were made with nonsense.
    return checked_model(
        path,
        model.predict_on_batch,
        *io_specs(model),
        info,
        task,
        keras_model=model,
        trial=lambda x: model(x, training=False),  # Traces nothing.
    )


@contextlib.contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # A damaged archive surfaces as any of a dozen exceptions.
        known = isinstance(error, keras_archive.Refused | InputError)
        why = str(error) if known else type(error).__name__
        raise InputError(
            "Cannot read this as a Keras model. "
            f"Received: {str(path)!r} ({why})"
        ) from error


def io_specs(model: keras.Model) -> tuple[Specs, Specs]:
    """Shapes and dtypes of what `model` takes and gives, by name."""
    inputs, outputs = (
        {name: (x.shape, x.dtype) for name, x in side.items()}
        if isinstance(side, dict)
        else {}
        for side in (
            getattr(model, "input", None),
            getattr(model, "output", None),
        )
    )
    return inputs, outputs


def write(model: keras.Model, path: Path) -> None:
    """Writes a model, without how it was compiled."""
    copy_model(model).save(path)
    trial.remember("keras_file", path)


def check_loadable(model: keras.Model) -> None:
    """Refuses a model that `load_model` could not read.

    Raises:
        InputError: If it has a layer that is in none of the lists of
            `models.layers`.
    """
    size = 4 * model.count_params()  # in float32
    if size > LARGEST_FILE:
        raise InputError(
            f"A model's file may have at most {LARGEST_FILE:,} bytes: a "
            f"smaller `width` makes it smaller. Received: weights of {size:,}"
        )
    bare = keras.Model(model.input, model.output)
    # Of how a model within it was compiled, which no file has.
    with filtered_warnings("ignore", "The object being serialized"):
        text = json.dumps(keras.saving.serialize_keras_object(bare))
    try:
        keras_archive.check_parts(
            json.loads(text, object_hook=keras_archive.current)
        )
    except keras_archive.Refused as error:
        raise InputError(
            "A model file may hold Keras's usual layers, those of the package "
            "and those that `keras_mnist_sum.models.layers.allow_layer` was "
            f"given. Received: a model of which {error}"
        ) from error


class _WeightsFile(io.BytesIO):
    """What Keras takes as a file, once it is called as one."""

    def __str__(self) -> str:
        return keras_archive.WEIGHTS


def _check_size(config: dict, stored: int) -> None:
    """Refuses a model whose weights would take more than `stored` bytes.

    It is built without values, in a thread, for there Keras keeps nothing of
    it after the thread's end.
    """
    outcome: list = []

    def build() -> None:
        try:
            with keras.StatelessScope(initialize_variables=False):
                model = _build(config)
            outcome.append(
                sum(
                    math.prod(weight.shape) * np.dtype(weight.dtype).itemsize
                    for weight in model.weights
                )
            )
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    [needed] = outcome
    if isinstance(needed, Exception):
        raise needed
    if needed > stored:
        raise keras_archive.Refused(
            f"its weights would take {needed:,} bytes, and it holds {stored:,}"
        )


def _build(config: dict) -> keras.Model:
    config = copy.deepcopy(config)  # Keras takes it apart.
    return keras.saving.deserialize_keras_object(config, safe_mode=True)
