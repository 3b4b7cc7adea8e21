"""Ends a run that was asked to stop."""

from typing import Any

import keras

from keras_mnist_sum.errors import Stopped
from keras_mnist_sum.training.state import RunState


class StopOnSignal(keras.callbacks.Callback):
    """Raises `Stopped` from `fit` after the checkpoint that a signal caused.

    When training ends anyway, it does so after `on_train_end`.

    Args:
        state: Where the run is; its `signal` is what all workers agreed on.
    """

    def __init__(self, *, state: RunState) -> None:
        super().__init__()
        self.state = state

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self.state.ends_training:
            self._stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self.state.ends_training:
            self._stop()

    def on_train_end(self, logs: Any = None) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.state.signal is not None:
            raise Stopped(
                self.state.signal,
                f"stopped after step {self.state.step:,} of "
                f"{self.state.steps:,}, saved",
            )
