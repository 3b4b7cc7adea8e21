"""Backbones: from an image to the logits of its digit.

Each takes a float tensor of shape `(batch, 28, 28, 1)`, in 0-1 or 0-255, and a
width, the channels of its first convolution; each returns digit logits of
shape `(batch, 10)`. `keras.ops` and Keras's own layers only.
"""

from collections.abc import Callable

import keras

from keras_mnist_sum.models import baselines
from keras_mnist_sum.models.layers import ScaleByMaximum
from keras_mnist_sum.models.layers import Tensor
from keras_mnist_sum.models.layers import normalize
from keras_mnist_sum.task import NUM_DIGITS


def residual(image: Tensor, width: int) -> Tensor:
    """Three stages of residual blocks.

    Pooling comes early and channels double as each side halves: 12x12, 6x6,
    3x3 pixels. A border of 2 pixels, which MNIST leaves blank, is cropped.
    Normalization stands between the stages alone: within them it would cost
    a sixth of the training time.
    """
    layers = keras.layers

    def convolution(
        x: Tensor,
        filters: int,
        size: int,
        name: str,
        activation: str | None = None,
    ) -> Tensor:
        return layers.Conv2D(
            filters, size, padding="same", activation=activation, name=name
        )(x)

    def block(x: Tensor, name: str) -> Tensor:
        change = convolution(x, x.shape[-1], 3, f"{name}_conv", "relu")
        return layers.Add(name=f"{name}_add")([x, change])

    def halve(x: Tensor, name: str) -> Tensor:
        x = normalize(x, f"{name}_norm")
        x = convolution(x, 2 * x.shape[-1], 3, f"{name}_conv")
        return layers.MaxPooling2D(name=f"{name}_pool")(x)

    x = ScaleByMaximum(name="stage0_scale")(image)
    x = layers.Cropping2D(2, name="stage0_crop")(x)  # (batch, 24, 24, 1)
    x = convolution(x, width, 5, "stage1_conv", "relu")
    x = layers.MaxPooling2D(name="stage1_pool")(x)
    x = block(x, "stage1_block1")  # (batch, 12, 12, width)
    x = block(x, "stage1_block2")
    x = halve(x, "stage2")  # (batch, 6, 6, 2 * width)
    x = block(x, "stage2_block1")
    x = halve(x, "stage3")  # (batch, 3, 3, 4 * width)
    x = block(x, "stage3_block1")
    x = normalize(x, "stage4_norm")
    x = layers.GlobalAveragePooling2D(name="stage4_average")(x)
    return layers.Dense(NUM_DIGITS, name="logits")(x)


def small(image: Tensor, width: int) -> Tensor:
    """Two convolutions, the first one strided: little work at high resolution.

    `width` channels in a 7x7 convolution, twice as many in a 3x3 one, each
    pooled before anything else is done, to 3x3 pixels and one dense layer.
    """
    layers = keras.layers

    def convolution(
        x: Tensor, filters: int, size: int, stride: int, name: str
    ) -> Tensor:
        x = layers.Conv2D(
            filters,
            size,
            stride,
            padding="same",
            use_bias=False,
            name=f"{name}_conv",
        )(x)
        x = layers.MaxPooling2D(name=f"{name}_pool")(x)
        x = normalize(x, f"{name}_norm")
        return layers.ReLU(name=f"{name}_relu")(x)

    x = ScaleByMaximum(name="stage0_scale")(image)
    x = layers.Cropping2D(2, name="stage0_crop")(x)  # (batch, 24, 24, 1)
    x = convolution(x, width, 7, 2, "stage1")  # (batch, 6, 6, width)
    x = convolution(x, 2 * width, 3, 1, "stage2")  # (batch, 3, 3, 2 * width)
    x = layers.Flatten(name="stage3_flatten")(x)
    return layers.Dense(NUM_DIGITS, name="logits")(x)


BACKBONES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "residual": residual,
    "small": small,
    **baselines.BACKBONES,
}
