"""Where a run is: what its callbacks share, and a checkpoint keeps."""

import contextlib
import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import keras

from keras_mnist_sum.errors import InputError
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
        points: What Keras logged after some steps: `step`, `done` (steps of
            its epoch) and means over the epoch so far.
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
        """Takes over what a checkpoint has of it.

        Raises:
            InputError: If that is not of such a run.
        """
        step, notes = checkpoint.step, checkpoint.notes
        seconds = notes.get("seconds", 0.0)
        history = notes.get("history", [])
        points = notes.get("points", [])
        has_ended = notes.get("has_ended", False)
        epochs = -(-step // self.steps_per_epoch)
        if not has_ended:  # Of the running epoch there is no row yet.
            epochs = step // self.steps_per_epoch
        if not (
            step <= self.steps
            and type(has_ended) is bool
            and _is_number(seconds)
            and 0 <= seconds < math.inf
            and _are_rows(history, "epoch", "step")
            and [row["epoch"] for row in history] == [*range(1, epochs + 1)]
            and all("learning_rate" in row for row in history)
            and _are_rows(points, "step")
            and all(
                point["step"] <= step
                and point.get("done") == self._in_epoch(point["step"])
                for point in points
            )
        ):
            raise InputError(
                "The checkpoint is not one of this run: start again in another "
                f"directory. Received: notes of step {step:,} that do not fit "
                f"a run of {self.steps:,}, {self.steps_per_epoch:,} an epoch"
            )
        self.step, self.seconds, self.has_ended = step, seconds, has_ended
        self.history, self.points = history, points

    def notes(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, beside the step."""
        return {
            "seconds": self.seconds,
            "history": self.history,
            "points": self.points,
            "has_ended": self.has_ended,
        }

    @property
    def epochs(self) -> int:
        """Epochs of the whole run."""
        return -(-self.steps // self.steps_per_epoch)

    @property
    def steps_in_epoch(self) -> int:
        """Steps done in the epoch of the last step: from 1 on."""
        return self._in_epoch(self.step)

    def _in_epoch(self, step: int) -> int:
        return (step - 1) % self.steps_per_epoch + 1

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


def _are_rows(rows: Any, *increasing: str) -> bool:
    """Whether these are dicts of numbers, some of which are positive integers
    that increase from row to row."""
    if not isinstance(rows, list) or not all(
        isinstance(row, dict)
        and all(map(_is_number, row.values()))
        and {*increasing} <= set(row)
        for row in rows
    ):
        return False
    return all(
        type(after) is int and after > before
        for name in increasing
        for before, after in itertools.pairwise(
            [0, *(row[name] for row in rows)]
        )
    )


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 2**63)
