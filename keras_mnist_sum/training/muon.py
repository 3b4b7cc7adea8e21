"""Muon: steps of one length in every direction, for convolutions.

Jordan et al. (2024), https://kellerjordan.github.io/posts/muon/.
"""

import math
from typing import Any

import keras
from keras import ops

from keras_mnist_sum.models.layers import Tensor
from keras_mnist_sum.training.fused_adamw import FusedAdamW


@keras.saving.register_keras_serializable("keras_mnist_sum")
class Muon(FusedAdamW):
    """AdamW, but for the kernels of convolutions with several filters.

    The momentum of such a kernel, as a matrix of (height x width x inputs,
    filters), is replaced by the nearest matrix whose singular values are all
    about 1, and scaled by the root of rows / columns, if there are more.

    Args:
        kernel_rate: The learning rate of these kernels, as a multiple of that
            of the other weights.
        named: What `keras.optimizers.AdamW` takes; `beta_1` is the momentum.
    """

    def __init__(self, *args: Any, kernel_rate: float = 5.0, **named: Any):
        super().__init__(*args, **named)
        self.kernel_rate = kernel_rate

    def update_step(
        self, gradient: Tensor, variable: Any, learning_rate: Tensor
    ) -> None:
        *sides, columns = tuple(variable.shape) or (1,)
        rows = math.prod(sides)
        if len(variable.shape) != 4 or 1 in (rows, columns):
            super().update_step(gradient, variable, learning_rate)
            return
        momentum = self._momentums[self._get_variable_index(variable)]
        self.assign(momentum, self.beta_1 * momentum + gradient)
        # Nesterov's
        matrix = ops.reshape(gradient + self.beta_1 * momentum, (rows, columns))
        step = orthogonalize(matrix) * math.sqrt(max(1, rows / columns))
        rate = self.kernel_rate * ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, rate * ops.reshape(step, variable.shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_rate": self.kernel_rate}


def orthogonalize(matrix: Tensor) -> Tensor:
    """Brings all singular values of a matrix close to 1: 0.7 to 1.2.

    Five Newton-Schulz iterations with the coefficients of Jordan et al. (2024).
    Each multiplies the matrix by a polynomial of its square, so that only the
    squares, which are smaller, are iterated.
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix / (ops.norm(matrix) + 1e-7)
    transposed = ops.transpose(x)
    square = ops.matmul(transposed, x) if is_tall else ops.matmul(x, transposed)
    product = identity = ops.eye(square.shape[0], dtype=square.dtype)
    for _ in range(5):
        factor = 3.4445 * identity - 4.7750 * square
        factor += 2.0315 * ops.matmul(square, square)
        product = ops.matmul(factor, product)
        square = ops.matmul(ops.matmul(factor, square), factor)
    return ops.matmul(x, product) if is_tall else ops.matmul(product, x)
