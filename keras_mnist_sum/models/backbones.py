"""Backbones: from an image to the logits of its digit.

Each takes a float tensor of shape `(batch, 28, 28, 1)`, in 0-1 or 0-255, and a
width, the channels of its first convolution; each returns digit logits of
shape `(batch, 10)`. `keras.ops` and Keras's own layers only.
"""

import keras

from keras_mnist_sum import task
from keras_mnist_sum.models.layers import GlobalBatchDropout
from keras_mnist_sum.models.layers import ScaleByMaximum
from keras_mnist_sum.models.layers import pytorch_initializers

_MEAN, _STD = 0.1307, 0.3081  # of MNIST's training pixels, in 0-1


def _normalize(x):
    # Forgets in 10 steps, so that a short run's statistics are its own.
    return keras.layers.BatchNormalization(momentum=0.9)(x)


def residual(image: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """Three stages of residual blocks.

    Pooling comes early and channels double as each side halves: 12x12, 6x6,
    3x3 pixels. A border of 2 pixels, which MNIST leaves blank, is cropped.
    Normalization stands between the stages alone: within them it would cost
    a sixth of the training time.
    """
    layers = keras.layers

    def convolution(x, filters, size=3, activation=None):
        return layers.Conv2D(
            filters, size, padding="same", activation=activation
        )(x)

    def block(x):
        return layers.Add()([x, convolution(x, x.shape[-1], 3, "relu")])

    def halve(x):
        x = _normalize(x)
        return layers.MaxPooling2D()(convolution(x, 2 * x.shape[-1]))

    x = ScaleByMaximum()(image)
    x = layers.Cropping2D(2)(x)  # (batch, 24, 24, 1)
    x = layers.MaxPooling2D()(convolution(x, width, 5, "relu"))
    x = block(block(x))  # (batch, 12, 12, width)
    x = block(halve(x))  # (batch, 6, 6, 2 * width)
    x = block(halve(x))  # (batch, 3, 3, 4 * width)
    x = _normalize(x)
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(task.NUM_DIGITS, name="logits")(x)


def small(image: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """Two convolutions, the first one strided: little work at high resolution.

    `width` channels in a 7x7 convolution, twice as many in a 3x3 one, each
    pooled before anything else is done, to 3x3 pixels and one dense layer.
    """
    layers = keras.layers

    def convolution(x, filters, size, stride):
        x = layers.Conv2D(
            filters, size, stride, padding="same", use_bias=False
        )(x)
        x = layers.MaxPooling2D()(x)
        return layers.ReLU()(_normalize(x))

    x = ScaleByMaximum()(image)
    x = layers.Cropping2D(2)(x)  # (batch, 24, 24, 1)
    x = convolution(x, width, 7, stride=2)  # (batch, 6, 6, width)
    x = convolution(x, 2 * width, 3, stride=1)  # (batch, 3, 3, 2 * width)
    return layers.Dense(task.NUM_DIGITS, name="logits")(layers.Flatten()(x))


def plain(image: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """Seven 3x3 convolutions down to 1x1 pixel, as a course teaches them.

    `width` times 1, 2, 4, 4, 8, 16 channels, then 10. No normalization.
    """
    return _seven_convolutions(image, [width * i for i in (1, 2, 4, 4, 8, 16)])


def plain_doubling(image: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """As `plain`, with twice the channels at each convolution.

    `width` times 1, 2, 4, 8, 16, 32 channels, then 10.
    """
    return _seven_convolutions(image, [width * 2**i for i in range(6)])


def _seven_convolutions(image, channels):
    def convolution(x, filters, padding, activation="relu"):
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
    x = convolution(x, task.NUM_DIGITS, "valid", activation=None)
    return keras.layers.Flatten(name="logits")(x)  # (batch, 10)


def dropout(image: keras.KerasTensor, width: int) -> keras.KerasTensor:
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
        x = layers.MaxPooling2D()(_normalize(x))
        x = GlobalBatchDropout(0.25)(x)
    x = layers.Flatten()(x)  # (batch, 3 * 3 * 2 * width)
    for units in (256, 128, 128):
        x = _normalize(layers.Dense(units, activation="relu")(x))
        x = GlobalBatchDropout(0.25)(x)
    return layers.Dense(task.NUM_DIGITS, name="logits")(x)


BACKBONES = {
    "residual": residual,
    "small": small,
    "plain": plain,
    "plain_doubling": plain_doubling,
    "dropout": dropout,
}
