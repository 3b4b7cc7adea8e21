"""Keras's AdamW with an operation of TensorFlow's in place of fifteen."""

from typing import Any

import keras
import tensorflow as tf

from keras_mnist_sum.models.layers import Tensor


@keras.saving.register_keras_serializable("keras_mnist_sum")
class FusedAdamW(keras.optimizers.AdamW):
    """Computes what `keras.optimizers.AdamW` does.

    With other backends it is that.
    """

    _rate: Tensor | None = None  # of the step that is being computed

    def _rate_of_step(self) -> Tensor:
        if self._rate is not None:
            return self._rate
        return super().learning_rate

    # Keras asks for it again for each variable that decays, and a schedule
    # would be traced and computed each time.
    learning_rate = keras.optimizers.AdamW.learning_rate.getter(_rate_of_step)

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        self._rate = self.learning_rate
        try:
            super().apply(grads, trainable_variables)
        finally:
            self._rate = None

    def update_step(
        self, gradient: Tensor, variable: Any, learning_rate: Tensor
    ) -> None:
        if keras.backend.backend() != "tensorflow" or self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        index, dtype = self._get_variable_index(variable), variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        beta_1, beta_2 = (
            tf.constant(self.beta_1, dtype),
            tf.constant(self.beta_2, dtype),
        )
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=beta_1**step,
            beta2_power=beta_2**step,
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )
