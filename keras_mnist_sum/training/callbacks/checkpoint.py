"""Saves checkpoints, at moments that all workers agree on."""

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.training import checkpoints
from keras_mnist_sum.training.callbacks.memory import Memory
from keras_mnist_sum.training.callbacks.non_finite import diverged
from keras_mnist_sum.training.checkpoints import Checkpoint
from keras_mnist_sum.training.state import RunState

SECONDS = 30.0  # of training between two checkpoints, unless steps are named


class SaveCheckpoints(keras.callbacks.Callback):
    """Saves a checkpoint every so often, before the run obeys a signal, and
    when training ends.

    In the last step of an epoch it waits for `on_epoch_end`: a run that goes on
    from there neither lacks the epoch's row nor has it twice.

    After each step the workers tell each other, in one collective, what only
    one of them may know: that the chief's clock says it is time, that one got
    a signal, and that a callback set `model.stop_training`.

    Args:
        folder: Where to write.
        state: Where the run is.
        devices: What trains; only the chief writes.
        requests: The signals that came.
        every: Steps between checkpoints. Default: about 30 seconds.
        notes: Written into each checkpoint.
        memory: What the user's callbacks remember, for each checkpoint.
        restored: Where the run goes on from. Its metrics and its learning rate
            are put back into the epoch that was running.

    Raises:
        DivergedError: From `fit`, if a weight is not finite: such a checkpoint
            is not saved.
    """

    def __init__(
        self,
        *,
        folder: Path,
        state: RunState,
        devices: Distribution,
        requests: StopRequests,
        every: int | None = None,
        notes: dict[str, Any] | None = None,
        memory: Memory | None = None,
        restored: Checkpoint | None = None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.state = state
        self.devices = devices
        self.requests = requests
        self.every = every
        self.notes = notes or {}
        self.memory = memory or Memory([])
        self.restored = restored
        self.saved_step = state.step
        self.saved_at = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        # Between two epochs, metrics count nothing that goes on. Within one,
        # a callback may have set the rate a second time.
        if self.restored and self.state.step % self.state.steps_per_epoch:
            self.restored.restore(self.model, "metrics", "optimizer")
        self.restored = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self.state.ends_epoch:
            self._save_if_due()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._save_if_due()

    def on_train_end(self, logs: Any = None) -> None:
        # Callbacks may have changed the weights since the last step.
        self.state.has_ended = True
        self._save()

    def _save_if_due(self) -> None:
        if self.every:
            due = self.state.step - self.saved_step >= self.every
        else:
            due = time.monotonic() - self.saved_at >= SECONDS
            due = due and self.devices.is_chief
        received = [self.requests.received == x for x in StopRequests.SIGNALS]
        due, self.model.stop_training, *signals = self.devices.all_reduce_any(
            [due, self.model.stop_training, *received]
        )
        self.state.stopped_early = self.model.stop_training
        if any(signals):
            self.state.signal = StopRequests.SIGNALS[signals.index(True)]
        if not self.state.ends_training and (due or any(signals)):
            self._save()

    def _save(self) -> None:
        self.state.tick()
        arrays = checkpoints.capture(self.model) | self.memory.arrays()
        # A metric may be infinite, as a maximum of nothing is.
        if not all(
            np.all(np.isfinite(array))
            for name, array in arrays.items()
            if not name.startswith("metrics.")
        ):
            received = "a weight that is not finite"
            raise diverged(received, self.state.step, self.model)
        if self.devices.is_chief:
            notes = {**self.notes, **self.state.notes()}
            notes["callbacks"] = self.memory.notes()
            checkpoints.save(self.folder, arrays, self.state.step, notes)
        self.saved_step, self.saved_at = self.state.step, time.monotonic()
