"""Where a run is: what its callbacks share, and a checkpoint keeps."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import keras

from keras_mnist_sum.training.checkpoints import Checkpoint


@dataclass
class RunState:
    """Where a run is.

    Attributes:
        steps: Steps of the whole run.
        steps_per_epoch: Steps of an epoch; the last one may be shorter.
        step: Steps done.
        seconds: What they took, in this process and earlier ones, with tracing,
            validation, checkpoints and callbacks, but without summaries.
        history: The epochs so far, a dict each.
        points: Of the running epoch, what the summaries will show.
        stopped_early: Whether a callback ended the training.
        has_ended: Whether the training is over, `on_train_end` included.
        signal: The signal that all workers obey after this step, if any.
    """

    steps: int
    steps_per_epoch: int
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    points: list[dict[str, float]] = field(default_factory=list)
    stopped_early: bool = False
    has_ended: bool = False
    signal: int | None = None
    _clock: float = field(default_factory=time.monotonic)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes over what a checkpoint has of it."""
        notes = checkpoint.notes
        self.step = checkpoint.step
        self.seconds = notes.get("seconds", 0.0)
        self.history = notes.get("history", [])
        self.points = notes.get("points", [])
        self.has_ended = notes.get("has_ended", False)

    def notes(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, beside the step."""
        return {
            "seconds": self.seconds,
            "history": self.history,
            "points": self.points,
            "has_ended": self.has_ended,
        }

    @property
    def epoch(self) -> int:
        """The epoch of the next step, from 0."""
        return self.step // self.steps_per_epoch

    @property
    def steps_in_epoch(self) -> int:
        """Steps done in the epoch of the last step: from 1 on."""
        return (self.step - 1) % self.steps_per_epoch + 1

    @property
    def ends_epoch(self) -> bool:
        """Whether the last step was the last one of its epoch."""
        whole = self.steps_in_epoch == self.steps_per_epoch
        return whole or self.step == self.steps

    @property
    def ends_training(self) -> bool:
        """Whether no step follows the last one."""
        return self.stopped_early or self.step == self.steps

    def start_clock(self) -> None:
        """Counts seconds from now on."""
        self._clock = time.monotonic()

    def tick(self) -> None:
        """Counts the seconds until now."""
        now = time.monotonic()
        self.seconds += now - self._clock
        self._clock = now

    @contextlib.contextmanager
    def untimed(self) -> Iterator[None]:
        """Does not count the seconds of the block."""
        self.tick()
        yield
        self.start_clock()


def learning_rate(model: keras.Model) -> float:
    """The rate of the next step."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
