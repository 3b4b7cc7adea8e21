"""What a person sees while a model trains."""

import io
import sys
import time
from collections.abc import Iterable
from typing import Any
from typing import TextIO

import keras

from keras_mnist_sum.config import Config
from keras_mnist_sum.training.state import RunState

_BAR = 6  # characters
_LOSS, _ACCURACY = len("0.123"), len("100.00")
REFRESH = 0.2  # seconds


def displays(
    config: Config, state: RunState, verbose: int
) -> list[keras.callbacks.Callback]:
    """The callbacks that show how a run goes.

    Args:
        config: The run.
        state: Where it is.
        verbose: 0 shows nothing, 1 a bar and a table, 2 a line an epoch.
    """
    if not verbose:
        return []
    display = Progress if verbose == 1 else EpochLines
    return [display(config.task, state)]


class _Display(keras.callbacks.Callback):
    def __init__(
        self,
        outputs: Iterable[str],
        state: RunState,
        stream: TextIO | None = None,
    ) -> None:
        super().__init__()
        self.outputs = list(outputs)
        self.state = state
        self.stream = stream or sys.stdout or io.StringIO()
        self.epoch_start = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch_start = time.monotonic()

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


class Progress(_Display):
    """Prints a line for each epoch: a bar, then loss and accuracy (in percent)
    of each output; and a second line with those of validation.

    On a terminal the line is redrawn while the epoch runs; elsewhere (a file,
    a pipe) only finished lines are written.

    Args:
        outputs: Names of the outputs, in the order of the columns.
        state: Where the run is.
        stream: Where to write. Default: standard output.
    """

    def __init__(
        self,
        outputs: Iterable[str],
        state: RunState,
        stream: TextIO | None = None,
    ) -> None:
        super().__init__(outputs, state, stream)
        self.redraws = self.stream.isatty()
        self.width = len(self._begin(state.epochs - 1, 1.0, 0))
        self.has_heading = False
        self.epoch = self.first_batch = 0
        self.drawn = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self.has_heading:
            self._write_heading()
        super().on_epoch_begin(epoch)
        self.epoch = epoch
        # Of an interrupted epoch: not 0.
        self.first_batch = self.state.step % self.state.steps_per_epoch
        self.drawn = self.epoch_start

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.monotonic()
        if self.redraws and now - self.drawn >= REFRESH:
            self.drawn = now
            done = batch + 1
            before = self.epoch * self.state.steps_per_epoch
            in_epoch = min(
                self.state.steps_per_epoch, self.state.steps - before
            )
            pace = (now - self.epoch_start) / (done - self.first_batch)
            left = pace * (in_epoch - done)
            line = self._begin(self.epoch, done / in_epoch, left, "left")
            self._write(f"\r{line}{self._cells(logs)}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seconds = time.monotonic() - self.epoch_start
        line = self._begin(epoch, 1.0, seconds)
        back = "\r" if self.redraws else ""
        self._write(f"{back}{line}{self._cells(logs)}\n")
        if f"val_{self.outputs[0]}_loss" in logs:
            label = "validation".rjust(self.width - 6) + " " * 6
            self._write(f"{label}{self._cells(logs, 'val_')}\n")

    def _write_heading(self) -> None:
        self.has_heading = True
        blank = " " * self.width
        losses, accuracies = (
            "".join(f"{name:>{_width(name, least)}}" for name in self.outputs)
            for least in (_LOSS, _ACCURACY)
        )
        self._write(
            f"{blank}{'loss':>{len(losses)}} |"
            f"{'accuracy, %':>{len(accuracies)}}\n"
            f"{blank}{losses} |{accuracies}\n"
        )

    def _begin(
        self, epoch: int, done: float, seconds: float, word: str = ""
    ) -> str:
        filled = "━" * round(_BAR * done)
        epochs = self.state.epochs
        count = f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}"
        return f"{count} {filled:<{_BAR}} {seconds:4.0f}s {word:<4}"

    def _cells(self, logs: dict, prefix: str = "") -> str:
        losses = accuracies = ""
        for name in self.outputs:
            loss = float(logs[f"{prefix}{name}_loss"])
            accuracy = 100 * float(logs[f"{prefix}{name}_accuracy"])
            losses += f"{_loss(loss):>{_width(name, _LOSS)}}"
            accuracies += f"{accuracy:>{_width(name, _ACCURACY)}.2f}"
        return f"{losses} |{accuracies}"


class EpochLines(_Display):
    """Prints one line for each epoch, for logs: it is never redrawn, and says
    by itself what its numbers are.

    Args:
        outputs: Names of the outputs, in their order.
        state: Where the run is.
        stream: Where to write. Default: standard output.
    """

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seconds = time.monotonic() - self.epoch_start
        state = self.state
        line = (
            f"epoch {epoch + 1}/{state.epochs}, step {state.step}/"
            f"{state.steps}, {seconds:.0f} s: {self._parts(logs)}"
        )
        if f"val_{self.outputs[0]}_loss" in logs:
            line += f"; validation: {self._parts(logs, 'val_')}"
        self._write(line + "\n")

    def _parts(self, logs: dict, prefix: str = "") -> str:
        return ", ".join(
            f"{name} {100 * float(logs[f'{prefix}{name}_accuracy']):.2f} % "
            f"(loss {_loss(float(logs[f'{prefix}{name}_loss']))})"
            for name in self.outputs
        )


def _loss(loss: float) -> str:
    """0.123, 12.35, 123.5: squared errors begin large."""
    decimals = 3 - sum(loss >= bound for bound in (10, 100, 1000))
    return f"{loss:.{decimals}f}"


def _width(name: str, least: int) -> int:
    return max(len(name), least) + 1
