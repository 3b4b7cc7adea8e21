"""The baselines: designs that ours are compared with, and all that they need.

`plain`, `plain_doubling`, `concat`, `regression` and `negative_probability`
are those of the two course projects that this package grew from; `dropout` and
`argmax` are after the best published design for digits and sums.
"""

import keras
from keras import ops

from keras_mnist_sum.models.layers import ScaleByMaximum
from keras_mnist_sum.models.layers import Tensor
from keras_mnist_sum.models.layers import check_last_axis
from keras_mnist_sum.models.layers import normalize
from keras_mnist_sum.models.layers import ours
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
    def convolution(
        x: Tensor, filters: int, padding: str, activation: str | None = "relu"
    ) -> Tensor:
        return keras.layers.Conv2D(
            filters,
            3,
            padding=padding,
            activation=activation,
            **pytorch_initializers(9 * x.shape[-1]),
        )(x)

    x = ScaleByMaximum()(image)
    x = keras.layers.Rescaling(1 / _STD, -_MEAN / _STD)(x)
    for stage in (channels[:2], channels[2:4]):
        for filters in stage:
            x = convolution(x, filters, "same")
        x = keras.layers.MaxPooling2D()(x)
    for filters in channels[4:]:
        x = convolution(x, filters, "valid")  # 7x7, 5x5, 3x3 pixels
    x = convolution(x, NUM_DIGITS, "valid", activation=None)
    return keras.layers.Flatten(name="logits")(x)  # (batch, 10)


def dropout(image: Tensor, width: int) -> Tensor:
    """Two pairs of unpadded convolutions, three dense layers, dropout.

    `width` channels in the first pair (5x5), twice as many in the second
    (3x3); 256, 128 and 128 units; normalization and a dropout of 0.25 after
    each pair and each dense layer.
    """
    layers = keras.layers

    x = ScaleByMaximum()(image)
    for filters, size in ((width, 5), (2 * width, 3)):
        x = layers.Conv2D(filters, size, activation="relu")(x)
        x = layers.Conv2D(filters, size, activation="relu")(x)
        x = layers.MaxPooling2D()(normalize(x))
        x = GlobalBatchDropout(0.25)(x)
    x = layers.Flatten()(x)  # (batch, 3 * 3 * 2 * width)
    for units in (256, 128, 128):
        x = normalize(layers.Dense(units, activation="relu")(x))
        x = GlobalBatchDropout(0.25)(x)
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
        x: Tensor,
        units: int,
        activation: str | None = "relu",
        name: str | None = None,
    ) -> Tensor:
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


HEADS = {"concat": concat, "argmax": argmax, "regression": regression}

# === Layers, initializers and a loss ===


@ours
class OneHotArgmax(keras.layers.Layer):
    """The most likely class, one-hot; no gradient passes.

    Input: float tensor of shape `(batch, classes)`, scores.
    Output: the same shape and dtype, one 1 in each row.
    """

    def call(self, scores: Tensor) -> Tensor:
        # `ops.argmax` takes bitwise operations that LiteRT does not have.
        _, best = ops.top_k(scores, k=1)
        return ops.stop_gradient(
            ops.one_hot(best[:, 0], scores.shape[-1], dtype=scores.dtype)
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape


@ours
class ExpectedNumber(keras.layers.Layer):
    """The mean of a distribution over 0-9: of a one-hot, the number itself.

    Input: float tensor of shape `(batch, 10)`.
    Output: float tensor of shape `(batch, 1)`.
    """

    def call(self, distribution: Tensor) -> Tensor:
        check_last_axis("number", distribution)
        numbers = ops.arange(NUM_DIGITS, dtype=distribution.dtype)
        return ops.sum(distribution * numbers, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], 1)


@ours
class GlobalBatchDropout(keras.layers.Dropout):
    """Dropout whose mask depends on the global batch alone.

    Each replica draws the mask of the whole batch and takes its part, where
    Keras's own draws one for its share alone. So a run is the same run on any
    number of replicas.

    Input and output: as `keras.layers.Dropout`.
    """

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        replica, replicas = _replica()
        if not training or replicas == 1:
            return super().call(inputs, training)
        count = ops.shape(inputs)[0]
        ones = ops.ones((count * replicas, *inputs.shape[1:]), inputs.dtype)
        mask = super().call(ones, training)
        return inputs * mask[replica * count : (replica + 1) * count]


def _replica() -> tuple[Tensor, int]:
    """Which replica computes this, and how many there are."""
    if keras.backend.backend() == "tensorflow":  # Only there is a layer told.
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        if context is not None:
            return (
                context.replica_id_in_sync_group,
                context.num_replicas_in_sync,
            )
    return 0, 1


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
