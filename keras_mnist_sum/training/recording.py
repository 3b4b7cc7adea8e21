"""What a run writes while it trains: its history, and its checkpoints."""

import csv
import io
import math
import time
from pathlib import Path

import keras
import numpy as np

from keras_mnist_sum.distribution import launcher
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.errors import DivergedError
from keras_mnist_sum.errors import Stopped
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.training import checkpoints
from keras_mnist_sum.training.callbacks.tensorboard import Summaries
from keras_mnist_sum.training.checkpoints import Checkpoint
from keras_mnist_sum.utils import atomic_files

_SECONDS_BETWEEN = 30.0


class Recorder(keras.callbacks.Callback):
    """Writes `history.csv` after each epoch, and checkpoints in between; ends
    `fit` with an error where the loss diverges or someone asks to stop.

    At the end of an epoch a checkpoint comes after the epoch's row, never
    between the last step and the row: one that is taken up again neither lacks
    an epoch nor has it twice.

    Args:
        run_dir: The run directory.
        steps: Steps of the whole run.
        steps_per_epoch: Steps of an epoch; the last one may be shorter.
        requests: Looked at after each step.
        devices: Only the chief writes; any worker may be asked to stop.
        every: Steps between checkpoints; `None` for about 30 seconds.
        notes: Written into each checkpoint.
        checkpoint: Where the run goes on from. Its metrics are put back into
            the epoch that was running.
        summaries: Is told of steps and epochs. What it writes is no time spent
            training.

    Attributes:
        seconds: From the first step to the end of the last epoch, with
            TensorFlow's graph, held-out images and checkpoints.

    Raises:
        DivergedError: From `fit`, if the loss or a weight is not finite.
        Stopped: From `fit`, if that was requested, after a checkpoint.
    """

    def __init__(
        self,
        run_dir: Path,
        steps: int,
        steps_per_epoch: int,
        requests: StopRequests,
        devices: Distribution,
        every: int | None = None,
        notes: dict | None = None,
        checkpoint: Checkpoint | None = None,
        summaries: Summaries | None = None,
    ):
        super().__init__()
        self.run_dir = run_dir
        self.steps = steps
        self.steps_per_epoch = steps_per_epoch
        self.requests = requests
        self.devices = devices
        self.every = every
        self.notes = notes or {}
        self.checkpoint = checkpoint
        self.summaries = summaries
        self.step = self.saved_step = checkpoint.step if checkpoint else 0
        before = checkpoint.notes if checkpoint else {}
        self.rows = before.get("history", [])
        self.seconds = before.get("seconds", 0.0)
        self.clock = self.saved_at = time.monotonic()

    def on_train_begin(self, logs=None):
        self.clock = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        # Between two epochs, metrics are those of the held-out images.
        if self.checkpoint and self.step % self.steps_per_epoch:
            self.checkpoint.restore(self.model, "metrics")
        self.checkpoint = None

    def on_test_batch_end(self, batch, logs=None):
        launcher.beat()

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        launcher.beat()
        if not math.isfinite(logs["loss"]):
            raise self._diverged(f"loss={float(logs['loss'])}")
        done = (self.step - 1) % self.steps_per_epoch + 1
        last = done == self.steps_per_epoch or self.step == self.steps
        if self.summaries:
            rate = self._learning_rate
            self.summaries.step(self.step, done, last, rate, logs)
        if not last:
            self._save_if_due()

    def on_epoch_end(self, epoch, logs=None):
        self._tick()
        self.rows.append(
            {
                "epoch": epoch + 1,
                "step": self.step,
                "seconds": round(self.seconds, 2),
                "learning_rate": self._learning_rate(),
                **{name: float(value) for name, value in logs.items()},
            }
        )
        if self.devices.is_chief:
            text = io.StringIO()
            writer = csv.DictWriter(
                text, list(self.rows[0]), lineterminator="\n"
            )
            writer.writeheader()
            writer.writerows(self.rows)
            atomic_files.write_text(
                self.run_dir / run_directory.HISTORY, text.getvalue()
            )
        if self.summaries:
            self.summaries.epoch(self.rows[-1], self.model)
            self.clock = time.monotonic()
        self._save_if_due()

    def _save_if_due(self):
        if self.every:
            due = self.step - self.saved_step >= self.every
        else:
            # By the chief's clock alone.
            due = time.monotonic() - self.saved_at >= _SECONDS_BETWEEN
            due = due and self.devices.is_chief
        received = [self.requests.received == x for x in StopRequests.SIGNALS]
        due, *stops = self.devices.any_worker([due, *received])
        if not (due or any(stops) or self.step == self.steps):
            return
        self._tick()
        arrays = checkpoints.capture(self.model)
        if not all(np.all(np.isfinite(array)) for array in arrays.values()):
            raise self._diverged("a weight that is not finite")
        if self.devices.is_chief:
            notes = {"seconds": self.seconds, "history": self.rows}
            if self.summaries:
                notes["points"] = self.summaries.points
            checkpoints.save(
                self.run_dir / run_directory.CHECKPOINTS,
                arrays,
                self.step,
                {**self.notes, **notes},
            )
        self.saved_step, self.saved_at = self.step, time.monotonic()
        for signum, stop in zip(StopRequests.SIGNALS, stops):
            if stop:
                raise Stopped(
                    signum,
                    f"stopped after step {self.step:,} of {self.steps:,}, "
                    "saved",
                )

    def _tick(self):
        now = time.monotonic()
        self.seconds += now - self.clock
        self.clock = now

    def _learning_rate(self):
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        return float(rate)

    def _diverged(self, received):
        return DivergedError(
            "The run has diverged: try a lower learning rate, or a longer "
            f"warm-up. Received: {received} after step {self.step}, learning "
            f"rate {self._learning_rate():.3g}"
        )
