"""Heads: from digit and number to their sum and difference.

Each takes the digit's logits and its probabilities, both `(batch, 10)`, the
number, `(batch, 10)`, and the outputs to make (`task.Output` by name); each
returns a dict of float32 tensors by the same names: probabilities `(batch,
classes)`, or values `(batch, 1)` from `regression`. `keras.ops` and Keras's own
layers only, always in float32.
"""

import keras

from keras_mnist_sum.models.layers import ConditionalTable
from keras_mnist_sum.models.layers import ExpectedNumber
from keras_mnist_sum.models.layers import OneHotArgmax
from keras_mnist_sum.models.layers import pytorch_initializers


def table(logits, digit, number, outputs, given=False):
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


def exact(logits, digit, number, outputs):
    """As `table`, with the tables given: no weights."""
    return table(logits, digit, number, outputs, given=True)


def concat(logits, digit, number, outputs):
    """One linear layer, without bias, on logits and number side by side.

    Its score of a class is a function of the logits plus a function of the
    number (`docs/heads.md` says what that can and cannot express).
    """
    del digit
    features = keras.layers.Concatenate(dtype="float32")([logits, number])
    initializers = pytorch_initializers(features.shape[-1])
    return {
        name: keras.layers.Dense(
            output.num_classes,
            activation="softmax",
            use_bias=False,
            kernel_initializer=initializers["kernel_initializer"],
            name=name,
            dtype="float32",
        )(features)
        for name, output in outputs.items()
    }


def argmax(logits, digit, number, outputs):
    """An MLP on the most likely digit and the number, both one-hot.

    No gradient of the sum or the difference reaches the image.
    """
    del digit
    x = keras.layers.Concatenate(dtype="float32")(
        [OneHotArgmax(dtype="float32")(logits), number]
    )
    for units in (64, 128, 256, 64, 38):
        x = keras.layers.Dense(units, dtype="float32")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, dtype="float32")(x)
        x = keras.layers.ReLU(dtype="float32")(x)
    return {
        name: keras.layers.Dense(
            output.num_classes,
            activation="softmax",
            name=name,
            dtype="float32",
        )(x)
        for name, output in outputs.items()
    }


def regression(logits, digit, number, outputs):
    """An MLP for each output, on logits and number, to a value.

    The number becomes a scalar, then 32 features, before it joins the logits.
    """
    del digit

    def dense(x, units, activation="relu", name=None):
        return keras.layers.Dense(
            units,
            activation=activation,
            name=name,
            dtype="float32",
            **pytorch_initializers(x.shape[-1]),
        )(x)

    features = ExpectedNumber(dtype="float32")(number)
    features = dense(dense(features, 16), 32)
    features = keras.layers.Concatenate(dtype="float32")([logits, features])
    return {
        name: dense(
            dense(dense(features, 64), 128), 1, activation=None, name=name
        )
        for name in outputs
    }


HEADS = {
    "table": table,
    "exact": exact,
    "concat": concat,
    "argmax": argmax,
    "regression": regression,
}
