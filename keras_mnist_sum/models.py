"""The model: backbones, heads, and the contract that every model keeps.

`keras.ops` only: the same model builds on any Keras backend.
"""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.layers import ConditionalTable
from keras_mnist_sum.layers import OneHotArgmax
from keras_mnist_sum.layers import ScaleByMaximum

INPUT_SHAPES = {
    "image": (task.IMAGE_SIZE, task.IMAGE_SIZE, 1),
    "number": (task.NUM_DIGITS,),
}


def build_model(config: Config | None = None) -> keras.Model:
    """Builds the functional model that `config` describes, untrained.

    Inputs: `image`, float32 `(batch, 28, 28, 1)`, white ink on black, 0-1 or
    0-255; `number`, float32 `(batch, 10)`, one-hot or any distribution over
    0-9.

    Outputs: a dict of float32 probabilities: `digit` `(batch, 10)`, `sum`
    `(batch, 19)` and `difference` `(batch, 10)`, or `(batch, 19)` if signed.
    Class `c` of an output stands for `task.outputs(...)[name].values[c]`.

    Args:
        config: The model's part of it is used: `backbone`, `width`, `head`,
            `difference` and `precision`. Default: `Config()`.

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
        logits = _BACKBONES[config.backbone](image, config.width)
    digit = keras.layers.Activation("softmax", name="digit", dtype="float32")(
        logits
    )
    outputs = task.outputs(config.difference)
    del outputs["digit"]
    answers = _HEADS[config.head](logits, digit, number, outputs)
    return keras.Model(
        {"image": image, "number": number},
        {"digit": digit, **answers},
        name=f"{config.backbone}_{config.head}",
    )


def residual(image: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """Three stages of residual blocks, from image to logits.

    Pooling comes early and channels double as each side halves: 12x12, 6x6,
    3x3 pixels. A border of 2 pixels, which MNIST leaves blank, is cropped.
    Normalization stands between the stages alone: within them it would cost
    a sixth of the training time.

    Args:
        image: float tensor of shape `(batch, 28, 28, 1)`.
        width: Channels of the first stage.

    Returns:
        Digit logits of shape `(batch, 10)`.
    """
    layers = keras.layers

    def convolution(x, filters, size=3, activation=None):
        return layers.Conv2D(
            filters, size, padding="same", activation=activation
        )(x)

    def normalize(x):
        # Forgets in 10 steps, so that a short run's statistics are its own.
        return layers.BatchNormalization(momentum=0.9)(x)

    def block(x):
        return layers.Add()([x, convolution(x, x.shape[-1], 3, "relu")])

    def halve(x):
        x = normalize(x)
        return layers.MaxPooling2D()(convolution(x, 2 * x.shape[-1]))

    x = ScaleByMaximum()(image)
    x = layers.Cropping2D(2)(x)  # (batch, 24, 24, 1)
    x = layers.MaxPooling2D()(convolution(x, width, 5, "relu"))
    x = block(block(x))  # (batch, 12, 12, width)
    x = block(halve(x))  # (batch, 6, 6, 2 * width)
    x = block(halve(x))  # (batch, 3, 3, 4 * width)
    x = normalize(x)
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(task.NUM_DIGITS, name="logits")(x)


def table_head(logits, digit, number, outputs, given=False):
    """P(class | digit, number) for each output, learned (`layers.py`)."""
    del logits
    return {
        name: ConditionalTable(
            output.num_classes,
            output.table.tolist() if given else None,
            name=name,
            dtype="float32",
        )([digit, number])
        for name, output in outputs.items()
    }


def exact_head(logits, digit, number, outputs):
    """As `table_head`, with the tables given: no weights."""
    return table_head(logits, digit, number, outputs, given=True)


def concat_head(logits, digit, number, outputs):
    """One linear layer, without bias, on logits and number side by side.

    Its score of a class is a function of the digit plus a function of the
    number: too little for a sum, which depends on both together.
    """
    del digit
    features = keras.layers.Concatenate(dtype="float32")([logits, number])
    return {
        name: keras.layers.Dense(
            output.num_classes,
            activation="softmax",
            use_bias=False,
            name=name,
            dtype="float32",
        )(features)
        for name, output in outputs.items()
    }


def argmax_head(logits, digit, number, outputs):
    """An MLP on the most likely digit and the number, both one-hot.

    No gradient of the sum or the difference reaches the image.
    """
    del digit
    features = keras.layers.Concatenate(dtype="float32")(
        [OneHotArgmax(dtype="float32")(logits), number]
    )
    for units in (64, 128, 256, 64, 38):
        features = keras.layers.Dense(units, dtype="float32")(features)
        features = keras.layers.BatchNormalization(
            momentum=0.9, dtype="float32"
        )(features)
        features = keras.layers.ReLU(dtype="float32")(features)
    return {
        name: keras.layers.Dense(
            output.num_classes,
            activation="softmax",
            name=name,
            dtype="float32",
        )(features)
        for name, output in outputs.items()
    }


_BACKBONES = {"residual": residual}
_HEADS = {
    "table": table_head,
    "exact": exact_head,
    "concat": concat_head,
    "argmax": argmax_head,
}


def load_model(path: str | Path) -> keras.Model:
    """Loads a `.keras` file and checks that it keeps `build_model`'s contract.

    Args:
        path: The file. It is read as data: nothing in it is executed.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        InputError: If the file is missing, damaged, or another kind of model.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"No such model file. Received: {str(path)!r}")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # A damaged archive surfaces as any of a dozen exceptions.
        raise InputError(
            "Cannot read this as a Keras model. "
            f"Received: {str(path)!r} ({type(error).__name__})"
        ) from error
    difference_of(model, str(path))
    return model


def difference_of(model: keras.Model, where: str = "this model") -> str:
    """Returns which difference `model` computes, `"absolute"` or `"signed"`.

    Raises:
        InputError: If its inputs and outputs are not those of `build_model`.
    """

    def specs(tensors: object) -> dict:
        named = tensors if isinstance(tensors, dict) else {}
        return {name: (x.shape, x.dtype) for name, x in named.items()}

    inputs = specs(getattr(model, "input", None))
    return check_contract(inputs, specs(getattr(model, "output", None)), where)


def check_contract(inputs: dict, outputs: dict, where: str) -> str:
    """Checks names, shapes and types of a model's inputs and outputs.

    Args:
        inputs: For each input by name, `(shape, dtype)`: a tuple that starts
            with the batch, `None` if that is free, and a string.
        outputs: The same for each output.
        where: What the model was read from, for the message.

    Returns:
        Which difference the model computes, `"absolute"` or `"signed"`.

    Raises:
        InputError: If they are not those of `build_model`.
    """
    expected_inputs = {
        name: ((None, *shape), "float32")
        for name, shape in INPUT_SHAPES.items()
    }
    for difference in task.DIFFERENCES:
        expected_outputs = {
            name: ((None, output.num_classes), "float32")
            for name, output in task.outputs(difference).items()
        }
        if inputs == expected_inputs and outputs == expected_outputs:
            return difference
    raise InputError(
        "A model must take image (batch, 28, 28, 1) and number (batch, 10) "
        "and give digit (batch, 10), sum (batch, 19) and difference (batch, "
        "10 or 19), all float32, for any batch. "
        f"Received: {where} with inputs {inputs} and outputs {outputs}"
    )


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


def count_multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one example in convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            positions = math.prod(layer.output.shape[1:-1])
            total += positions * math.prod(layer.kernel.shape)
    return total


@contextlib.contextmanager
def _dtype_policy(precision: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    policy = "float32" if precision == "float32" else f"mixed_{precision}"
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
