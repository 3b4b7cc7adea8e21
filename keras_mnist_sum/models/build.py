"""The model: a backbone and a head.

`keras.ops` only: the same model builds on any Keras backend.
"""

import contextlib
import math
from collections.abc import Iterator

import keras
import numpy as np

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.formats.contract import INPUT_SHAPES
from keras_mnist_sum.formats.contract import check_contract
from keras_mnist_sum.models.backbones import BACKBONES
from keras_mnist_sum.models.heads import HEADS
from keras_mnist_sum.models.layers import ConditionalTable
from keras_mnist_sum.models.layers import MeanOfCopies
from keras_mnist_sum.models.layers import ShiftedCopies


def build_model(config: Config | None = None) -> keras.Model:
    """Builds the functional model that `config` describes, untrained.

    Inputs: `image`, float32 `(batch, 28, 28, 1)`, white ink on black, 0-1 or
    0-255; `number`, float32 `(batch, 10)`, one-hot or any distribution over
    0-9.

    Outputs: a dict of float32 probabilities: `digit` `(batch, 10)`, `sum`
    `(batch, 19)` and `difference` `(batch, 10)`, or `(batch, 19)` if signed.
    Class `c` of an output stands for `task.outputs(...)[name].values[c]`. With
    the head `regression`, `sum` and `difference` are values, `(batch, 1)`;
    `task.Output.answers` reads both kinds.

    Args:
        config: The model's part of it is used: `backbone`, `width`,
            `average_shift`, `head`, `difference` and `precision` (`"auto"` is
            float32 here). Default: `Config()`.

    Returns:
        A `keras.Model`, not compiled.

    Example:

    >>> model = build_model()
    >>> images = np.zeros((2, 28, 28, 1))
    >>> answers = model.predict({"image": images, "number": np.eye(10)[[3, 4]]})
    >>> answers["sum"].shape
    (2, 19)
    """
    config = config or Config()

    # === Functional Model ===
    image = keras.Input(INPUT_SHAPES["image"], name="image", dtype="float32")
    number = keras.Input(INPUT_SHAPES["number"], name="number", dtype="float32")
    with _dtype_policy(config.precision):
        if config.average_shift:
            copies = ShiftedCopies(config.average_shift)(image)
            logits = BACKBONES[config.backbone](copies, config.width)
            logits = MeanOfCopies()(logits)
        else:
            logits = BACKBONES[config.backbone](image, config.width)
    digit = keras.layers.Activation("softmax", name="digit", dtype="float32")(
        logits
    )
    outputs = task.outputs(config.difference)
    del outputs["digit"]
    answers = HEADS[config.head](logits, digit, number, outputs)
    return keras.Model(
        {"image": image, "number": number},
        {"digit": digit, **answers},
        name=f"{config.backbone}_{config.head}",
    )


def declared(model: keras.Model) -> tuple[dict, dict]:
    """What `model` takes and gives, as `check_contract` wants to know it."""

    def specs(tensors: object) -> dict:
        named = tensors if isinstance(tensors, dict) else {}
        return {name: (x.shape, x.dtype) for name, x in named.items()}

    inputs = specs(getattr(model, "input", None))
    return inputs, specs(getattr(model, "output", None))


def differences_of(model: keras.Model) -> tuple[str, ...]:
    """Which differences `model` may compute, as `check_contract` says."""
    return check_contract(*declared(model), "this model")


def learned_tables(model: keras.Model) -> dict[str, np.ndarray]:
    """The arithmetic that `model` learned: P(class | digit, number).

    Returns:
        A float32 array of shape `(10, 10, classes)` for each output whose head
        is a learned `ConditionalTable`, by name.
    """
    tables = {
        layer.name: keras.ops.convert_to_numpy(layer.table())
        for layer in model.layers
        if isinstance(layer, ConditionalTable) and layer.truth is None
    }
    return {name: tables[name] for name in task.outputs() if name in tables}


def in_float32(model: keras.Model) -> keras.Model:
    """The same weights in a model that computes in float32, not compiled."""

    def in_float32(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config(
            {**layer.get_config(), "dtype": "float32"}
        )

    bare = keras.Model(model.input, model.output, name=model.name)
    copy = keras.models.clone_model(bare, clone_function=in_float32)
    copy.set_weights(model.get_weights())
    return copy


def count_multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one example in convolutions and dense layers.

    In training: with an `average_shift`, an answer takes five times as many.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            positions = math.prod(layer.output.shape[1:-1])
            total += positions * math.prod(layer.kernel.shape)
    return total


@contextlib.contextmanager
def _dtype_policy(precision: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    mixed = precision in ("bfloat16", "float16")
    policy = f"mixed_{precision}" if mixed else "float32"
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
