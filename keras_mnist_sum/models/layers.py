"""The Keras layers that are ours. `keras.ops` only: any backend runs them."""

import keras
from keras import ops

from keras_mnist_sum import task
from keras_mnist_sum.errors import InputError


@keras.saving.register_keras_serializable(package="keras_mnist_sum")
class ScaleByMaximum(keras.layers.Layer):
    """Divides each image by its own largest value; a blank image stays blank.

    Images in 0-1 and in 0-255 become the same, so a model that starts with
    this layer takes either.

    Input: float tensor of shape `(batch, height, width, channels)`.
    Output: the same shape and dtype, with a maximum of 1 (or 0 if blank).
    """

    def call(self, images):
        maximum = ops.max(images, axis=(1, 2, 3), keepdims=True)
        return images / ops.where(maximum > 0, maximum, ops.ones_like(maximum))

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_mnist_sum")
class ShiftedCopies(keras.layers.Layer):
    """Outside training, adds copies of each image, shifted in a cross.

    The batch becomes five batches, one after another: the images, and they
    shifted to the left, to the right, up and down. Pixels from outside are 0.
    `MeanOfCopies` brings the answers to the five back together. In training,
    where warps shift the images anyway, nothing is done.

    Args:
        shift: How far, in pixels, 0 to 28.

    Raises:
        InputError: If `shift` is something else.

    Input: float tensor of shape `(batch, height, width, channels)`.
    Output: `(5 * batch, height, width, channels)`; in training, the input.
    """

    def __init__(self, shift, **kwargs):
        super().__init__(**kwargs)
        if shift not in range(task.IMAGE_SIZE + 1):
            raise InputError(
                f"`shift` must be 0 to {task.IMAGE_SIZE}. Received: {shift!r}"
            )
        self.shift = shift

    def call(self, images, training=False):
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

    def compute_output_shape(self, input_shape):
        return (None, *input_shape[1:])

    def get_config(self):
        return {**super().get_config(), "shift": self.shift}


@keras.saving.register_keras_serializable(package="keras_mnist_sum")
class MeanOfCopies(keras.layers.Layer):
    """Outside training, the mean over the five copies of `ShiftedCopies`.

    Input: float tensor of shape `(5 * batch, classes)`.
    Output: `(batch, classes)`; in training, the input.
    """

    def call(self, scores, training=False):
        if training:
            return scores
        return ops.mean(ops.reshape(scores, (5, -1, scores.shape[-1])), axis=0)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_mnist_sum")
class ConditionalTable(keras.layers.Layer):
    """Applies a conditional probability table P(class | digit, number).

    P(class = c) is the sum over digit d and number n of
    P(d | image) * P(n) * P(c | d, n). The table holds one categorical
    distribution for each of the 100 (digit, number) pairs; it is learned, from
    the uniform distribution on, unless `truth` gives it.

    Args:
        num_classes: Number of classes of the output.
        truth: `None`, or the true class of each pair as ten rows of ten
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

    def __init__(self, num_classes, truth=None, logit_scale=10.0, **kwargs):
        super().__init__(**kwargs)
        if num_classes not in range(1, task.NUM_DIGITS**2 + 1):
            raise InputError(
                f"`num_classes` must be 1 to 100. Received: {num_classes!r}"
            )
        self.num_classes = num_classes
        self.truth = truth
        self.logit_scale = logit_scale

    def build(self, input_shape):
        pairs = (task.NUM_DIGITS, task.NUM_DIGITS)
        if self.truth is None:
            self.logits = self.add_weight(
                name="logits",
                shape=(*pairs, self.num_classes),
                initializer="zeros",
            )

    def table(self):
        """The table itself, float tensor of shape `(10, 10, num_classes)`."""
        if self.truth is not None:
            truth = ops.convert_to_tensor(self.truth, dtype="int32")
            return ops.one_hot(
                truth, self.num_classes, dtype=self.compute_dtype
            )
        return ops.softmax(self.logit_scale * self.logits, axis=-1)

    def call(self, inputs):
        digit, number = inputs
        pair = ops.expand_dims(digit, 2) * ops.expand_dims(number, 1)
        pair = ops.reshape(pair, (-1, task.NUM_DIGITS**2))  # (batch, 100)
        rows = ops.reshape(self.table(), (-1, self.num_classes))
        return ops.matmul(pair, rows)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "truth": self.truth,
            "logit_scale": self.logit_scale,
        }


@keras.saving.register_keras_serializable(package="keras_mnist_sum")
class OneHotArgmax(keras.layers.Layer):
    """The most likely class, one-hot; no gradient passes.

    Input: float tensor of shape `(batch, classes)`, scores.
    Output: the same shape and dtype, one 1 in each row.
    """

    def call(self, scores):
        # `ops.argmax` takes bitwise operations that LiteRT does not have.
        _, best = ops.top_k(scores, k=1)
        return ops.stop_gradient(
            ops.one_hot(best[:, 0], scores.shape[-1], dtype=scores.dtype)
        )

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_mnist_sum")
class ExpectedNumber(keras.layers.Layer):
    """The mean of a distribution over 0-9: of a one-hot, the number itself.

    Input: float tensor of shape `(batch, 10)`.
    Output: float tensor of shape `(batch, 1)`.
    """

    def call(self, distribution):
        numbers = ops.arange(task.NUM_DIGITS, dtype=distribution.dtype)
        return ops.sum(distribution * numbers, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)


@keras.saving.register_keras_serializable(package="keras_mnist_sum")
class GlobalBatchDropout(keras.layers.Dropout):
    """Dropout whose mask depends on the global batch alone.

    Each replica draws the mask of the whole batch and takes its part, where
    Keras's own draws one for its share alone. So a run is the same run on any
    number of replicas.

    Input and output: as `keras.layers.Dropout`.
    """

    def call(self, inputs, training=False):
        replica, replicas = _replica()
        if not training or replicas == 1:
            return super().call(inputs, training)
        count = ops.shape(inputs)[0]
        ones = ops.ones((count * replicas, *inputs.shape[1:]), inputs.dtype)
        mask = super().call(ones, training)
        return inputs * mask[replica * count : (replica + 1) * count]


def _replica():
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


ALL = (
    ConditionalTable,
    ExpectedNumber,
    GlobalBatchDropout,
    MeanOfCopies,
    OneHotArgmax,
    ScaleByMaximum,
    ShiftedCopies,
)


def pytorch_initializers(fan_in):
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
