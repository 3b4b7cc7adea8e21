"""The model: a backbone and a head.

`keras.ops` only: the same model builds on any Keras backend.
"""

import contextlib
import math
import random
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras.src.models.functional import Functional

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

_UP = (
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose),
    keras.layers.Conv3DTranspose,
)
_COUNTED = (
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, *_UP),
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

    Raises:
        InputError: If a layer cannot be made again from its config.
    """

    copies: dict[int, Any] = {}  # A model in the model may share a layer.

    def copy_input(x: keras.KerasTensor) -> keras.KerasTensor:
        kind = x.dtype
        if dtype and keras.backend.is_float_dtype(kind):
            kind = dtype
        return keras.Input(batch_shape=x.shape, dtype=kind, name=x.name)

    def copy_part(part: Any) -> Any:
        if id(part) not in copies:
            copies[id(part)] = copy_anew(part)
        return copies[id(part)]

    def copy_anew(part: Any) -> Any:
        if isinstance(part, without):
            return keras.layers.Lambda(lambda x: keras.tree.flatten(x)[0])
        graph = part._functional if type(part) is keras.Sequential else part
        if part is model or type(graph) is Functional:
            # A bare one: how it was compiled is of no use.
            bare = keras.Model(graph.input, graph.output, name=part.name)
            inputs = keras.tree.map_structure(copy_input, bare.input)
            return keras.models.clone_model(bare, inputs, copy_part)
        config = part.get_config()
        if dtype and isinstance(part, keras.layers.Layer):
            config = _in_dtype(config, dtype) | {"dtype": dtype}
        return type(part).from_config(config)

    _check_model(model)
    try:
        with kept_random_state():
            copy = copy_anew(model)
    except Exception as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(
            "Keras must be able to make each layer of a model again from its "
            f"config, which no `Lambda` allows. Received: {why:.200}"
        ) from error
    copy.set_weights(model.get_weights())
    for part in copy._flatten_layers():
        if isinstance(part, keras.layers.Normalization):
            part.finalize_state()  # It computes with what its weights were.
    return without_xla(copy)


def _in_dtype(config: Any, dtype: str) -> Any:
    """The config of a layer, with another dtype in all that it wraps."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return dtype
        return {name: _in_dtype(x, dtype) for name, x in config.items()}
    if isinstance(config, list):
        return [_in_dtype(x, dtype) for x in config]
    return config


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
    models within the model, if their inputs have a size. Nothing else counts:
    neither attention and recurrent layers, nor what layers wrap, nor yours.

    In training: with a `test_time_shift`, an answer takes five times as many.
    """
    _check_model(model)
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            total += count_multiply_adds(layer)
        elif isinstance(layer, _COUNTED) and hasattr(layer, "output"):
            # The side that has a kernel at each of its positions.
            side = layer.input if isinstance(layer, _UP) else layer.output
            positions = side.shape[1:-1]
            kernels = [x.shape for x in layer.weights if "kernel" in x.name]
            if None not in positions:
                total += math.prod(positions) * sum(map(math.prod, kernels))
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
