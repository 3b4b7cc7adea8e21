"""The model: a backbone and a head.

`keras.ops` only: the same model builds on any Keras backend.
"""

import contextlib
import math
import random
from collections.abc import Iterator

import keras
import numpy as np

from keras_mnist_sum import __version__
from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.models.backbones import BACKBONES
from keras_mnist_sum.models.heads import HEADS
from keras_mnist_sum.models.info import ModelInfo
from keras_mnist_sum.models.layers import AugmentByShifts
from keras_mnist_sum.models.layers import ConditionalTable
from keras_mnist_sum.models.layers import MeanOverShifts
from keras_mnist_sum.models.layers import Metadata
from keras_mnist_sum.models.layers import PropagateNaN
from keras_mnist_sum.models.xla import without_xla
from keras_mnist_sum.task import INPUT_SHAPES
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task

_COUNTED = (
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
    keras.layers.Dense,
)


def build_model(
    config: Config | presets.Preset | str | None = None,
) -> keras.Model:
    """Builds the functional model that `config` describes, untrained.

    Inputs: `image`, float32 `(batch, 28, 28, 1)`, white ink on black, 0-1 or
    0-255; `number`, float32 `(batch, 10)`, one-hot or any distribution over
    0-9.

    Outputs: a dict of float32 probabilities, one for each output of the
    config's task: `digit` `(batch, 10)`, `sum` `(batch, 19)` and `difference`
    `(batch, 10)` unless it says otherwise. Class `c` of an output stands for
    `config.task[name].values[c]`. With the head `regression`, all but `digit`
    are values, `(batch, 1)`; `Output.decode` reads both kinds. A pixel that is
    not finite makes them NaN.

    Args:
        config: A config, or a preset or its name; the task and the model's
            part of it are used. The precision `"auto"` is float32 here.
            Default: `Config()`.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        InputError: If `config` is none, the backbone does not give ten
            logits, or an output is called as a layer is.

    Example:

    >>> model = build_model()
    >>> images = np.zeros((2, 28, 28, 1))
    >>> answers = model.predict({"image": images, "number": np.eye(10)[[3, 4]]})
    >>> answers["sum"].shape
    (2, 19)
    """
    config = Config() if config is None else presets.as_config(config)
    with _settings("float32"):  # whatever the user's are
        return without_xla(_build(config))


def _build(config: Config) -> keras.Model:
    info = ModelInfo(config.task, config.preset, __version__)
    outputs = dict(config.task)
    del outputs["digit"]

    # === Functional Model ===
    image = keras.Input(INPUT_SHAPES["image"], name="image", dtype="float32")
    number = keras.Input(INPUT_SHAPES["number"], name="number", dtype="float32")
    with _settings(config.precision):
        if config.test_time_shift:
            shifted = AugmentByShifts(
                config.test_time_shift, name="augment_by_shifts"
            )(image)
            logits = BACKBONES[config.backbone](shifted, config.width)
            logits = MeanOverShifts(name="mean_over_shifts")(logits)
        else:
            logits = BACKBONES[config.backbone](image, config.width)
    if logits.shape[1:] != (NUM_DIGITS,):
        raise InputError(
            f"A backbone must give logits of shape (batch, {NUM_DIGITS}). "
            f"Received: {logits.shape} from {config.backbone!r}"
        )
    logits = PropagateNaN(name="propagate_nan", dtype="float32")(
        [logits, image]
    )
    logits = Metadata(info.to_dict(), name="metadata", dtype="float32")(logits)
    digit = keras.layers.Activation("softmax", name="digit", dtype="float32")(
        logits
    )
    answers = HEADS[config.head](logits, digit, number, outputs)
    try:
        return keras.Model(
            {"image": image, "number": number},
            # In the task's order, which a SavedModel's warm-up and tables keep.
            {name: {"digit": digit, **answers}[name] for name in config.task},
            name=f"{config.backbone}_{config.head}",
        )
    except ValueError as error:
        raise InputError(
            "Backbone, head and outputs must form one model, each layer and "
            f"output with a name of its own. Received: {error}"
        ) from error


def info_of(model: keras.Model) -> ModelInfo | None:
    """What `model` says of itself; `None` if it was built elsewhere.

    Raises:
        InputError: If what it says is damaged.
    """
    _check_model(model)
    for layer in model.layers:
        if isinstance(layer, Metadata):
            return ModelInfo.from_dict(layer.info)
    return None


def task_of(model: keras.Model) -> Task:
    """What `model` computes: digit, sum and absolute difference, if it was
    built elsewhere."""
    info = info_of(model)
    return info.task if info else Task.named()


def learned_tables(model: keras.Model) -> dict[str, np.ndarray]:
    """The arithmetic that `model` learned: P(class | digit, number).

    Returns:
        A float32 array of shape `(10, 10, classes)` for each output whose head
        is a learned `ConditionalTable`, by name, in the order of the outputs.
    """
    _check_model(model)
    tables = {
        layer.name: keras.ops.convert_to_numpy(layer.table())
        for layer in model.layers
        if isinstance(layer, ConditionalTable) and layer.truth is None
    }
    return {name: tables[name] for name in model.output if name in tables}


def copy_model(
    model: keras.Model,
    dtype: str | None = None,
    without: tuple[type[keras.layers.Layer], ...] = (),
) -> keras.Model:
    """The same layers and weights in a model of its own, not compiled.

    What is done to look at a model is done to a copy: parts that are built on
    the layers of a model would change what it saves.

    Args:
        model: A functional model.
        dtype: What the copy computes in, `"float32"` for example. Default: as
            `model` does.
        without: Layers to leave out, which pass their first input on.
    """

    def copy_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, without):
            return keras.layers.Lambda(lambda x: keras.tree.flatten(x)[0])
        config = layer.get_config()
        if dtype and isinstance(layer, keras.layers.Layer):
            config["dtype"] = dtype  # An operation has none.
        return type(layer).from_config(config)

    _check_model(model)
    bare = keras.Model(model.input, model.output, name=model.name)
    with kept_random_state():
        copy = keras.models.clone_model(bare, clone_function=copy_layer)
    copy.set_weights(model.get_weights())
    return without_xla(copy)


@contextlib.contextmanager
def kept_random_state() -> Iterator[None]:
    """Puts Python's random state back, from which Keras draws the seed of each
    initializer, also of weights that are then replaced."""
    before = random.getstate()
    try:
        yield
    finally:
        random.setstate(before)


def count_multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one example in convolutions and dense layers, also of
    models within the model. Layers of your own are not looked into.

    In training: with a `test_time_shift`, an answer takes five times as many.
    """
    _check_model(model)
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            total += count_multiply_adds(layer)
        elif isinstance(layer, _COUNTED) and hasattr(layer, "output"):
            positions = math.prod(layer.output.shape[1:-1])
            kernels = (x.shape for x in layer.weights if "kernel" in x.name)
            total += positions * sum(map(math.prod, kernels))
    return total


def _check_model(model: object) -> None:
    if not isinstance(model, keras.Model):
        raise InputError(
            f"`model` must be a `keras.Model`. Received: {shown(model)}"
        )


@contextlib.contextmanager
def _settings(precision: str) -> Iterator[None]:
    before = keras.config.dtype_policy(), keras.config.image_data_format()
    mixed = precision in ("bfloat16", "float16")
    policy = f"mixed_{precision}" if mixed else "float32"
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_image_data_format(before[1])
