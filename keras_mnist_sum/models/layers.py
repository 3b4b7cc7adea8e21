"""The layers of our models.

`keras.ops` only: any backend runs them.
"""

from typing import Any
from typing import TypeAlias

import keras
from keras import ops

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models.allowed_layers import allow_layer as allow_layer
from keras_mnist_sum.models.allowed_layers import ours
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import NUM_DIGITS

Tensor: TypeAlias = Any  # of any backend, or Keras's symbolic one


@ours
class ScaleByMaximum(keras.layers.Layer):
    """Divides each image by its own largest value; a blank image stays blank.

    Images in 0-1 and in 0-255 become the same, so a model that starts with
    this layer takes either.

    Input: float tensor of shape `(batch, height, width, channels)`.
    Output: the same shape and dtype, with a maximum of 1 (or 0 if blank).
    """

    def call(self, images: Tensor) -> Tensor:
        maximum = ops.max(images, axis=(1, 2, 3), keepdims=True)
        return images / ops.where(maximum > 0, maximum, 1.0)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape


@ours
class AugmentByShifts(keras.layers.Layer):
    """Outside training, adds copies of each image, shifted in a cross.

    Test-time augmentation: Krizhevsky et al. (2012) average over crops so.

    The batch becomes five batches, one after another: the images, and they
    shifted to the left, to the right, up and down. Pixels from outside are 0.
    `MeanOverShifts` averages what follows from them. In training, where warps
    shift the images anyway, nothing is done.

    Args:
        shift: How far, in pixels, 0 to 28.

    Raises:
        InputError: If `shift` is something else.

    Input: float tensor of shape `(batch, height, width, channels)`.
    Output: `(5 * batch, height, width, channels)`; in training, the input.
    """

    def __init__(self, shift: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if shift not in range(IMAGE_SHAPE[0] + 1):
            raise InputError(
                f"`shift` must be 0 to {IMAGE_SHAPE[0]}. Received: {shift!r}"
            )
        self.shift = shift

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        if training:
            return images
        far, (height, width) = 2 * self.shift, images.shape[1:3]
        border = (self.shift, self.shift)
        padded = ops.pad(images, ((0, 0), border, border, (0, 0)))
        middle = self.shift
        return ops.concatenate(
            [
                padded[:, top : top + height, left : left + width]
                for top, left in (
                    (middle, middle),
                    (middle, far),
                    (middle, 0),
                    (far, middle),
                    (0, middle),
                )
            ]
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (None, *input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shift": self.shift}


@ours
class MeanOverShifts(keras.layers.Layer):
    """Outside training, the mean over the five copies of `AugmentByShifts`.

    Input: float tensor of shape `(5 * batch, classes)`.
    Output: `(batch, classes)`; in training, the input.
    """

    def call(self, scores: Tensor, training: bool = False) -> Tensor:
        if training:
            return scores
        return ops.mean(ops.reshape(scores, (5, -1, scores.shape[-1])), axis=0)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape


@ours
class ConditionalTable(keras.layers.Layer):
    """Applies a conditional probability table P(class | digit, number).

    P(class = c) is the sum over digit d and number n of
    P(d | image) * P(n) * P(c | d, n). The table holds one categorical
    distribution for each of the 100 (digit, number) pairs; it is learned, from
    the uniform distribution on, unless `truth` gives it.

    Args:
        num_classes: Number of classes of the output.
        truth: `None`, or the right class of each pair as ten rows of ten
            integers; the table is then fixed and has no weights.
        logit_scale: The weights are the table's logits divided by this. An
            optimizer that moves all weights by steps of about one size, like
            Adam, then sharpens the table this many times as fast.

    Raises:
        InputError: If `num_classes` is not 1 to 100.

    Call args: a list `[digit, number]` of two float tensors of shape
    `(batch, 10)`, both distributions over 0-9.
    Output: float tensor of shape `(batch, num_classes)`, a distribution.
    """

    def __init__(
        self,
        num_classes: int,
        truth: list[list[int]] | None = None,
        logit_scale: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_classes not in range(1, NUM_DIGITS**2 + 1):
            raise InputError(
                f"`num_classes` must be 1 to 100. Received: {num_classes!r}"
            )
        self.num_classes = num_classes
        self.truth = truth
        self.logit_scale = logit_scale

    def build(self, input_shape: list[tuple]) -> None:
        pairs = (NUM_DIGITS, NUM_DIGITS)
        if self.truth is None:
            self.logits = self.add_weight(
                name="logits",
                shape=(*pairs, self.num_classes),
                initializer="zeros",
            )

    def table(self) -> Tensor:
        """The table itself, float tensor of shape `(10, 10, num_classes)`."""
        if self.truth is not None:
            truth = ops.convert_to_tensor(self.truth, dtype="int32")
            return ops.one_hot(
                truth, self.num_classes, dtype=self.compute_dtype
            )
        return ops.softmax(self.logit_scale * self.logits, axis=-1)

    def call(self, inputs: list[Tensor]) -> Tensor:
        digit, number = inputs
        check_last_axis("number", number)
        pair = ops.expand_dims(digit, 2) * ops.expand_dims(number, 1)
        # Not -1: numbers of another width would become another batch.
        batch = ops.shape(pair)[0]
        pair = ops.reshape(pair, (batch, NUM_DIGITS**2))  # (batch, 100)
        rows = ops.reshape(self.table(), (-1, self.num_classes))
        return ops.matmul(pair, rows)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0][0], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "truth": self.truth,
            "logit_scale": self.logit_scale,
        }


@ours
class PropagateNaN(keras.layers.Layer):
    """Makes logits NaN where a pixel of the image is not finite: pooling and
    rectified units drop NaN, and would answer it like a blank image.

    In training, whose images are of whole numbers, nothing is done.

    Call args: a list `[logits, image]` of float tensors of shapes
    `(batch, classes)` and `(batch, height, width, channels)`.
    Output: `logits`, float tensor of shape `(batch, classes)`.
    """

    def call(self, inputs: list[Tensor], training: bool = False) -> Tensor:
        logits, image = inputs
        if training:
            return logits
        total = ops.sum(image, axis=(1, 2, 3))
        finite = ops.expand_dims(ops.abs(total) <= 3e38, 1)  # not of NaN
        nothing = ops.where(finite, 0.0, float("nan"))
        return logits + ops.cast(nothing, logits.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape[0]


@ours
class Metadata(keras.layers.Layer):
    """Passes its input on; its config says what the model is, also after
    `save`, `clone_model` and fine-tuning.

    Args:
        info: What `ModelInfo.to_dict` returns.
    """

    def __init__(self, info: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.info = info

    def call(self, inputs: Tensor) -> Tensor:
        return inputs

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "info": self.info}


def normalize(x: Tensor, name: str | None = None) -> Tensor:
    """Batch normalization that forgets in ten steps, so that a short run's
    statistics are its own."""
    return keras.layers.BatchNormalization(momentum=0.9, name=name)(x)


def check_last_axis(name: str, tensor: Tensor) -> None:
    """Refuses a distribution over anything but 0-9.

    Keras lets a tensor of shape `(batch, 1)` pass for one of `(batch, 10)`.

    Raises:
        InputError: If the last axis has another size.
    """
    if tensor.shape[-1] != NUM_DIGITS:
        raise InputError(
            f"`{name}` must have the shape (batch, {NUM_DIGITS}). "
            f"Received: {tuple(tensor.shape)}"
        )
