"""The layers that only the baselines need.

`keras.ops` only: any backend runs them.
"""

import keras
from keras import ops

from keras_mnist_sum.models.allowed_layers import ours
from keras_mnist_sum.models.layers import Tensor
from keras_mnist_sum.models.layers import check_last_axis
from keras_mnist_sum.task import NUM_DIGITS


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
