"""The baselines: designs that ours are compared with.

`plain`, `plain_doubling`, `concat`, `regression` and `negative_probability`
are those of the two course projects that this package grew from; `dropout` and
`argmax` are after the best published design for digits and sums.
"""

import keras
from keras import ops

from keras_mnist_sum.models.baseline_layers import ExpectedNumber
from keras_mnist_sum.models.baseline_layers import GlobalBatchDropout
from keras_mnist_sum.models.baseline_layers import OneHotArgmax
from keras_mnist_sum.models.layers import ScaleByMaximum
from keras_mnist_sum.models.layers import Tensor
from keras_mnist_sum.models.layers import normalize
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Output

_MEAN, _STD = 0.1307, 0.3081  # of MNIST's training pixels, in 0-1

# === Backbones ===


def plain(image: Tensor, width: int) -> Tensor:
    """Seven 3x3 convolutions down to 1x1 pixel, as a course teaches them.

    `width` times 1, 2, 4, 4, 8, 16 channels, then 10. No normalization.
    """
    return _seven_convolutions(image, [width * i for i in (1, 2, 4, 4, 8, 16)])


def plain_doubling(image: Tensor, width: int) -> Tensor:
    """As `plain`, with twice the channels at each convolution.

    `width` times 1, 2, 4, 8, 16, 32 channels, then 10.
    """
    return _seven_convolutions(image, [width * 2**i for i in range(6)])


def _seven_convolutions(image: Tensor, channels: list[int]) -> Tensor:
    layers = keras.layers

    def convolution(
        x: Tensor,
        filters: int,
        padding: str,
        name: str,
        activation: str | None = "relu",
    ) -> Tensor:
        return layers.Conv2D(
            filters,
            3,
            padding=padding,
            activation=activation,
            name=name,
            **pytorch_initializers(9 * x.shape[-1]),
        )(x)

    x = ScaleByMaximum(name="stage0_scale")(image)
    x = layers.Rescaling(1 / _STD, -_MEAN / _STD, name="stage0_rescale")(x)
    for stage in (1, 2):  # 28x28, 14x14 pixels
        for i in (1, 2):
            filters = channels[2 * stage + i - 3]
            x = convolution(x, filters, "same", f"stage{stage}_conv{i}")
        x = layers.MaxPooling2D(name=f"stage{stage}_pool")(x)
    x = convolution(x, channels[4], "valid", "stage3_conv1")  # 7x7 pixels
    x = convolution(x, channels[5], "valid", "stage3_conv2")
    x = convolution(x, NUM_DIGITS, "valid", "stage3_conv3", activation=None)
    return layers.Flatten(name="logits")(x)  # (batch, 10)


def dropout(image: Tensor, width: int) -> Tensor:
    """Two pairs of unpadded convolutions, three dense layers, dropout.

    `width` channels in the first pair (5x5), twice as many in the second
    (3x3); 256, 128 and 128 units; normalization and a dropout of 0.25 after
    each pair and each dense layer.
    """
    layers = keras.layers

    x = ScaleByMaximum(name="stage0_scale")(image)
    pairs = {"stage1": (width, 5), "stage2": (2 * width, 3)}
    for stage, (filters, size) in pairs.items():
        for i in (1, 2):
            x = layers.Conv2D(
                filters, size, activation="relu", name=f"{stage}_conv{i}"
            )(x)
        x = normalize(x, f"{stage}_norm")
        x = layers.MaxPooling2D(name=f"{stage}_pool")(x)
        x = GlobalBatchDropout(0.25, name=f"{stage}_dropout")(x)
    x = layers.Flatten(name="stage3_flatten")(x)  # (batch, 3 * 3 * 2 * width)
    for stage, units in {"stage3": 256, "stage4": 128, "stage5": 128}.items():
        x = layers.Dense(units, activation="relu", name=f"{stage}_dense")(x)
        x = normalize(x, f"{stage}_norm")
        x = GlobalBatchDropout(0.25, name=f"{stage}_dropout")(x)
    return layers.Dense(NUM_DIGITS, name="logits")(x)


BACKBONES = {
    "plain": plain,
    "plain_doubling": plain_doubling,
    "dropout": dropout,
}

# === Heads ===


def concat(
    logits: Tensor,
    digit: Tensor,
    number: Tensor,
    outputs: dict[str, Output],
) -> dict[str, Tensor]:
    """One linear layer, without bias, on logits and number side by side.

    Its score of a class is a function of the logits plus a function of the
    number (`docs/heads.md` says what that can and cannot express).
    """
    del digit
    features = keras.layers.Concatenate(name="head_concat", dtype="float32")(
        [logits, number]
    )
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


def argmax(
    logits: Tensor,
    digit: Tensor,
    number: Tensor,
    outputs: dict[str, Output],
) -> dict[str, Tensor]:
    """An MLP on the most likely digit and the number, both one-hot.

    No gradient of the sum or the difference reaches the image.
    """
    del digit
    layers = keras.layers

    best = OneHotArgmax(name="head_argmax", dtype="float32")(logits)
    x = layers.Concatenate(name="head_concat", dtype="float32")([best, number])
    for i, units in enumerate((64, 128, 256, 64, 38), 1):
        x = layers.Dense(units, name=f"head_dense{i}", dtype="float32")(x)
        x = layers.BatchNormalization(
            momentum=0.9, name=f"head_norm{i}", dtype="float32"
        )(x)
        x = layers.ReLU(name=f"head_relu{i}", dtype="float32")(x)
    return {
        name: layers.Dense(
            output.num_classes,
            activation="softmax",
            name=name,
            dtype="float32",
        )(x)
        for name, output in outputs.items()
    }


def regression(
    logits: Tensor,
    digit: Tensor,
    number: Tensor,
    outputs: dict[str, Output],
) -> dict[str, Tensor]:
    """An MLP for each output, on logits and number, to a value.

    The number becomes a scalar, then 32 features, before it joins the logits.
    """
    del digit

    def dense(
        x: Tensor, units: int, name: str, activation: str | None = "relu"
    ) -> Tensor:
        return keras.layers.Dense(
            units,
            activation=activation,
            name=name,
            dtype="float32",
            **pytorch_initializers(x.shape[-1]),
        )(x)

    features = ExpectedNumber(name="head_number", dtype="float32")(number)
    features = dense(features, 16, "head_number_dense1")
    features = dense(features, 32, "head_number_dense2")
    features = keras.layers.Concatenate(name="head_concat", dtype="float32")(
        [logits, features]
    )
    values = {}
    for name in outputs:
        x = dense(features, 64, f"head_{name}_dense1")
        x = dense(x, 128, f"head_{name}_dense2")
        values[name] = dense(x, 1, name, activation=None)
    return values


HEADS = {"concat": concat, "argmax": argmax, "regression": regression}

# === Initializers and a loss ===


def pytorch_initializers(fan_in: int) -> dict[str, keras.Initializer]:
    """Initial weights as PyTorch's linear and convolution layers draw them.

    Kernel and bias are uniform in +-1/sqrt(fan_in):
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html

    Args:
        fan_in: Number of inputs of one unit.

    Returns:
        Keyword arguments of a Keras layer.
    """
    limit = fan_in**-0.5
    return {
        name: keras.initializers.RandomUniform(-limit, limit)
        for name in ("kernel_initializer", "bias_initializer")
    }


def negative_probability(classes: Tensor, probabilities: Tensor) -> Tensor:
    """-P(right class) of each example: a cross-entropy without its logarithm.

    Args:
        classes: Integer tensor of shape `(batch,)`.
        probabilities: Float tensor of shape `(batch, classes)`.

    Returns:
        A float tensor of shape `(batch, 1)`.
    """
    classes = ops.reshape(ops.cast(classes, "int32"), (-1, 1))
    return -ops.take_along_axis(probabilities, classes, axis=-1)
