"""A run that starts from the weights of another model."""

import dataclasses
import hashlib
from pathlib import Path

import keras

from keras_mnist_sum import __version__
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.keras_file import io_specs
from keras_mnist_sum.formats.model_file import checked_model
from keras_mnist_sum.models.build import info_of
from keras_mnist_sum.models.info import ModelInfo
from keras_mnist_sum.models.layers import Metadata


def combine(config: Config, model: keras.Model) -> Config:
    """The config of a run that goes on from `model`, which stays as it is.

    Args:
        config: The run.
        model: A functional model.

    Returns:
        `config`, in the precision of the model, and with its weights' digest.

    Raises:
        InputError: If the model is of another task, of another kind of head or
            in another precision than the config says.
    """
    info, (inputs, outputs) = info_of(model), io_specs(model)
    task = checked_model(
        Path("model"),
        lambda arrays: model(arrays, training=False),
        inputs,
        outputs,
        info,
        config.task,
    ).task
    if task != config.task:
        raise InputError(
            "`model` must be one of the run's task. "
            f"Received: a model of {task}, not {config.task}"
        )
    others = {x: y for x, y in model.output.items() if x != "digit"}
    values = [name for name, x in others.items() if x.shape[-1] == 1]
    if len(values) not in (0, len(others)):
        raise InputError(
            "Of a model, all outputs but the digit give values, or none does. "
            f"Received: values of {', '.join(values)} alone"
        )
    if bool(values) != (config.head == "regression"):
        raise InputError(
            "`head` must be 'regression' for a model that gives values, and "
            f"only then. Received: head={config.head!r}"
        )
    # A model's own is that which Keras had as it was made.
    parts = [
        x for x in model._flatten_layers() if not isinstance(x, keras.Model)
    ]
    halves = {"bfloat16", "float16"} & {x.compute_dtype for x in parts}
    precision = halves.pop() if halves else "float32"
    if config.precision not in ("auto", precision):
        raise InputError(
            f"`precision` must be 'auto' or that of `model`, {precision}. "
            f"Received: precision={config.precision!r}"
        )
    weights = b"".join(array.tobytes() for array in model.get_weights())
    return dataclasses.replace(
        config,
        precision=precision,
        initial_weights=hashlib.sha256(weights).hexdigest(),
    )


def with_metadata(model: keras.Model, config: Config) -> keras.Model:
    """A model that says of which task it is, as its files then do.

    Args:
        model: A model of `config.task`, whose layers it has.
        config: The run.
    """
    if info_of(model):
        return model
    info = ModelInfo(config.task, "", __version__).to_dict()
    says = Metadata(info, name="metadata", dtype="float32")
    outputs = {**model.output, "digit": says(model.output["digit"])}
    return keras.Model(model.input, outputs, name=model.name)
