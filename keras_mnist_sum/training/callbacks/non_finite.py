"""Ends a run whose loss is no longer a finite number."""

import math
from typing import Any

import keras

from keras_mnist_sum.errors import DivergedError
from keras_mnist_sum.training.state import RunState
from keras_mnist_sum.training.state import learning_rate


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises `DivergedError` from `fit` when the loss is not finite.

    Args:
        state: Where the run is.
    """

    def __init__(self, *, state: RunState) -> None:
        super().__init__()
        self.state = state

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not math.isfinite(logs["loss"]):
            received = f"loss={float(logs['loss'])}"
            raise diverged(received, self.state.step, self.model)


def diverged(received: str, step: int, model: keras.Model) -> DivergedError:
    """The error of a run that has diverged.

    Args:
        received: What is not finite.
        step: Steps done.
        model: The model, compiled.
    """
    return DivergedError(
        "The run has diverged: try a lower learning rate, or a longer "
        f"warm-up. Received: {received} after step {step}, learning rate "
        f"{learning_rate(model):.3g}"
    )
