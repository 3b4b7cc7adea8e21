"""Addition of two numbers, given as images of their digits.

Manhaeve et al. (2018, https://arxiv.org/abs/1805.10872) set the task: labels
are sums alone, no digit is ever told. One reader reads every image. The
probability of a sum is exact: columns are added from right to left, with a
distribution over the carry, in time linear in the number of digits.

Numbers are arrays of digits, the most significant first, as they are written.
`keras.ops` only: any backend runs them.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.models.allowed_layers import ours
from keras_mnist_sum.models.backbones import BACKBONES
from keras_mnist_sum.models.baselines import pytorch_initializers
from keras_mnist_sum.models.layers import PropagateNaN
from keras_mnist_sum.models.layers import ScaleByMaximum
from keras_mnist_sum.models.layers import Tensor
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.utils.arguments import as_integer

# The logarithm of no probability at all. Not minus infinity: the gradient of
# a sum of nothing but impossible cases would be NaN.
_IMPOSSIBLE = -1e9


def build_adder(digits: int, backbone: str = "lenet") -> keras.Model:
    """Builds a model that adds two numbers of `digits` digits, untrained.

    Input: `numbers`, float32 `(batch, 2, digits, 28, 28, 1)`, white ink on
    black, 0-1 or 0-255.

    Outputs: a dict of `digits`, float32 `(batch, 2, digits, 10)`, the
    log-probabilities of each digit; `sum`, int32 `(batch, digits + 1)`, what
    `most_probable_sum` says; and `probability`, float32 `(batch,)`, of that
    sum. Above one half, no other sum can be more probable. A pixel that is not
    finite makes probabilities NaN.

    Args:
        digits: How many digits a number has, 1 to 1000.
        backbone: `"lenet"`, or the name of one in `BACKBONES`, of width 32.
            Its layers are those of the model's layer `reader`.

    Returns:
        A `keras.Model`, not compiled; its loss is
        `{"digits": negative_log_probability}`.

    Raises:
        InputError: If an argument is something else.

    Example:

    >>> model = build_adder(digits=4)
    >>> answers = model.predict(np.zeros((1, 2, 4, 28, 28, 1)))
    >>> answers["sum"].shape
    (1, 5)
    """
    digits = as_integer(digits, "digits", 1, 1000)
    networks = {"lenet": lenet, **BACKBONES}
    if not isinstance(backbone, str) or backbone not in networks:
        raise InputError(
            f"`backbone` must be one of {', '.join(networks)}. "
            f"Received: {shown(backbone)}"
        )
    # === Functional Model ===
    image = keras.Input(IMAGE_SHAPE, name="image", dtype="float32")
    logits = networks[backbone](image, 6 if backbone == "lenet" else 32)
    logits = PropagateNaN(name="propagate_nan", dtype="float32")(
        [logits, image]
    )
    reader = keras.Model(image, logits, name="reader")

    numbers = keras.Input(
        (2, digits, *IMAGE_SHAPE), name="numbers", dtype="float32"
    )
    logits = reader(ops.reshape(numbers, (-1, *IMAGE_SHAPE)))
    logits = ops.reshape(logits, (-1, 2, digits, NUM_DIGITS))
    log_digits = ops.log_softmax(logits, axis=-1)
    total, probability = Addition(name="sum", dtype="float32")(log_digits)
    return keras.Model(
        numbers,
        {"digits": log_digits, "sum": total, "probability": probability},
        name=f"{backbone}_adder",
    )


def lenet(image: Tensor, width: int = 6) -> Tensor:
    """LeNet (LeCun et al., 1998), as research on this task uses it.

    With rectified units and maximum pooling; pixels are scaled to -1 to 1, and
    initial weights are drawn as PyTorch does it.

    Args:
        image: Float tensor of shape `(batch, 28, 28, 1)`.
        width: Channels of the first convolution.

    Returns:
        Digit logits of shape `(batch, 10)`.
    """
    layers = keras.layers

    def dense(x: Tensor, units: int, name: str) -> Tensor:
        start = pytorch_initializers(x.shape[-1])
        return layers.Dense(units, name=name, **start)(x)

    x = ScaleByMaximum(name="stage0_scale")(image)
    x = layers.Rescaling(2.0, -1.0, name="stage0_rescale")(x)
    for stage, filters in ((1, width), (2, width * 16 // 6)):
        name, start = f"stage{stage}", pytorch_initializers(25 * x.shape[-1])
        x = layers.Conv2D(filters, 5, name=f"{name}_conv", **start)(x)
        x = layers.MaxPooling2D(name=f"{name}_pool")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.Flatten(name="stage3_flatten")(x)
    x = layers.ReLU(name="stage3_relu1")(dense(x, 120, "stage3_dense1"))
    x = layers.ReLU(name="stage3_relu2")(dense(x, 84, "stage3_dense2"))
    return dense(x, NUM_DIGITS, "logits")


@ours
class Addition(keras.layers.Layer):
    """The most probable sum, and its probability.

    Input: float tensor of shape `(batch, 2, digits, 10)`, log-probabilities.
    Output: a pair of the sum, int32 `(batch, digits + 1)`, and its
    probability, float `(batch,)`.
    """

    def call(self, log_digits: Tensor) -> tuple[Tensor, Tensor]:
        total = most_probable_sum(log_digits)
        return total, ops.exp(log_probability(total, log_digits))

    def compute_output_spec(self, log_digits: Any) -> tuple[Any, Any]:
        batch, _, digits, _ = log_digits.shape
        return (
            keras.KerasTensor((batch, digits + 1), "int32"),
            keras.KerasTensor((batch,), log_digits.dtype),
        )


def negative_log_probability(sums: Tensor, log_digits: Tensor) -> Tensor:
    """The loss of sums: `log_probability`, negated. Shapes are as there."""
    return -log_probability(sums, log_digits)


def first_column_loss(sums: Tensor, log_digits: Tensor) -> Tensor:
    """The loss of the first digits of sums, to begin training with.

    The first two digits of a sum are the sum of the numbers' first digits and
    of a carry that is not known. No more digits must be read than these. Later
    columns alone leave it open whether odd digits are even ones and even ones
    odd, since even + even = odd + odd; a reader that begins with all columns
    may settle on the wrong answer for good.

    Args:
        sums: Numeric tensor of shape `(batch, 2)`.
        log_digits: Float tensor of shape `(batch, 2, 1, 10)`.

    Returns:
        A float tensor of shape `(batch,)`.
    """
    return -log_probability(sums, log_digits, carry=0.45)


def log_probability(
    sums: Tensor, log_digits: Tensor, carry: float = 0.0
) -> Tensor:
    """The exact log-probability of given sums.

    From right to left, alpha[c] is the log-probability of the sum's digits so
    far together with a carry c into the next column. A column with total t,
    digit s, carry c into it and d out of it has t = s + 10 d - c.

    Args:
        sums: Numeric tensor of shape `(batch, digits + 1)`, of 0-9.
        log_digits: Float tensor of shape `(batch, 2, digits, 10)`:
            log-probabilities of the digits of the two numbers.
        carry: Probability of a carry into the last column, where the numbers
            go on; 0.45 if all their digits are equally probable.

    Returns:
        A float tensor of shape `(batch,)`; about -1e9 or less for what no two
        numbers add up to.

    Raises:
        InputError: If the shapes do not fit together.
    """
    totals = _log_totals(log_digits)
    columns = totals.shape[1]
    if sums.shape[1:] != (columns + 1,):
        raise InputError(
            f"Sums of numbers of {columns} digits must have the shape (batch, "
            f"{columns + 1}). Received: {tuple(sums.shape)}"
        )
    sums = ops.cast(sums, "int32")
    # Totals of -1 and 19, which no two digits have, are in the table, too.
    totals = ops.pad(totals, ((0, 0), (0, 0), (1, 1)), "constant", _IMPOSSIBLE)
    carry_in, carry_out = np.array([[0, 1], [0, 1]]), np.array([[0, 0], [1, 1]])
    total = ops.expand_dims(sums[:, 1:], 2) + np.ravel(
        10 * carry_out - carry_in
    )  # (batch, columns, 4)
    steps = ops.take_along_axis(totals, total + 1, axis=2)
    steps = ops.reshape(steps, (-1, columns, 2, 2))  # carry out, carry in

    start = [math.log(1 - carry), math.log(carry) if carry else _IMPOSSIBLE]
    alpha = ops.zeros_like(totals[:, 0, :2]) + np.array(start)
    for column in reversed(range(columns)):
        alpha = _log_sum_exp(steps[:, column] + ops.expand_dims(alpha, 1))
    # The last carry is the first digit of the sum.
    first = sums[:, :1] == np.arange(2)
    return _log_sum_exp(ops.where(first, alpha, _IMPOSSIBLE))


def most_probable_sum(log_digits: Tensor) -> Tensor:
    """The sum of the most probable total of each column.

    Totals of columns are independent, and they decide the sum and each carry.
    So this is the most probable sum together with its carries: what Viterbi's
    algorithm would find. Several rows of totals can have one sum, as 1 2 and
    0 12 do; where these are probable, another sum can be more probable than
    this one. It is none if this one's probability is above one half.

    Args:
        log_digits: As in `log_probability`.

    Returns:
        An int32 tensor of shape `(batch, digits + 1)`, of 0-9.
    """
    # Not argmax: Keras's looks for -0.0, with operations that ONNX has not.
    totals = ops.cast(ops.top_k(_log_totals(log_digits), 1)[1], "int32")
    return _carried([totals[:, i, 0] for i in range(totals.shape[1])], ops)


def add_digits(numbers: np.ndarray) -> np.ndarray:
    """The digits of the sums of pairs of numbers: labels.

    Args:
        numbers: Integer array of shape `(batch, 2, digits)`, of 0-9.

    Returns:
        An int32 array of shape `(batch, digits + 1)`, of 0-9.

    Raises:
        InputError: If it is something else.
    """
    numbers = np.asarray(numbers)
    if numbers.ndim != 3 or numbers.shape[1] != 2 or not numbers.size:
        raise InputError(
            "Two numbers must have the shape (batch, 2, digits). "
            f"Received: {numbers.shape}"
        )
    if numbers.dtype.kind not in "iu" or not (
        numbers.min() >= 0 and numbers.max() <= 9
    ):
        raise InputError(
            f"Digits must be integers from 0 to 9. Received: {shown(numbers)}"
        )
    totals = list(np.sum(numbers, axis=1, dtype="int32").T)
    return _carried(totals, np).astype("int32")


def _carried(totals: list[Any], module: Any) -> Any:
    """Digits of a sum, from the totals of its columns."""
    carry, result = module.zeros_like(totals[0]), []
    for total in reversed(totals):
        total = total + carry
        carry = module.where(total > 9, 1, 0)
        result.append(total - 10 * carry)
    return module.stack([carry, *reversed(result)], axis=1)


def _log_totals(log_digits: Tensor) -> Tensor:
    """Log-probabilities of the totals 0-18 of each column: a float tensor of
    shape `(batch, digits, 19)`."""
    if len(log_digits.shape) != 4 or log_digits.shape[1::2] != (2, NUM_DIGITS):
        raise InputError(
            "Digits of two numbers must have the shape (batch, 2, digits, "
            f"{NUM_DIGITS}). Received: {tuple(log_digits.shape)}"
        )
    digit, total = np.arange(NUM_DIGITS), np.arange(2 * NUM_DIGITS - 1)
    other = total[:, None] - digit  # (19, 10)
    possible = (other >= 0) & (other < NUM_DIGITS)
    others = ops.take(log_digits[:, 1], other.clip(0, NUM_DIGITS - 1), axis=2)
    pairs = ops.expand_dims(log_digits[:, 0], 2) + others
    # (batch, digits, 19, 10)
    return _log_sum_exp(ops.where(possible, pairs, _IMPOSSIBLE))


def _log_sum_exp(x: Tensor) -> Tensor:
    """Over the last axis, of finite values. Keras's own looks for others, with
    operations that ONNX has not."""
    most = ops.stop_gradient(ops.max(x, axis=-1, keepdims=True))
    return ops.log(ops.sum(ops.exp(x - most), axis=-1)) + ops.squeeze(most, -1)
