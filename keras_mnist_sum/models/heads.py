"""Heads: from digit and number to their sum and difference.

Each takes the digit's logits and its probabilities, both `(batch, 10)`, the
number, `(batch, 10)`, and the outputs to make (`task.Output` by name); each
returns a dict of float32 tensors by the same names: probabilities `(batch,
classes)`, or values `(batch, 1)` from `regression`. `keras.ops` and Keras's own
layers only, always in float32.
"""

from collections.abc import Callable

from keras_mnist_sum.models import baselines
from keras_mnist_sum.models.layers import ConditionalTable
from keras_mnist_sum.models.layers import Tensor
from keras_mnist_sum.task import Output


def table(
    logits: Tensor,
    digit: Tensor,
    number: Tensor,
    outputs: dict[str, Output],
    given: bool = False,
) -> dict[str, Tensor]:
    """P(class | digit, number) for each output, learned (`layers.py`)."""
    del logits
    return {
        name: ConditionalTable(
            output.num_classes,
            output.table.tolist() if given else None,
            name=name,
            dtype="float32",
        )([digit, number])
        for name, output in outputs.items()
    }


def exact(
    logits: Tensor,
    digit: Tensor,
    number: Tensor,
    outputs: dict[str, Output],
) -> dict[str, Tensor]:
    """As `table`, with the tables given: no weights."""
    return table(logits, digit, number, outputs, given=True)


HEADS: dict[str, Callable[..., dict[str, Tensor]]] = {
    "table": table,
    "exact": exact,
    **baselines.HEADS,
}
