"""What a person sees while a model trains."""

import sys
import time
from dataclasses import dataclass

import keras

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError

_BAR = 6  # characters
_LOSS, _ACCURACY = len("0.123"), len("100.00")
_REFRESH = 0.2  # seconds


@dataclass(frozen=True)
class Console:
    """Where a run says what happens.

    Attributes:
        verbose: 0 for warnings alone, on standard error; 1 for what happens,
            with a bar; 2 for the same in one line an epoch, for logs.
        silent: Says nothing at all: the chief speaks for all workers.

    Raises:
        InputError: If `verbose` is none of these.
    """

    verbose: int = 1
    silent: bool = False

    def __post_init__(self) -> None:
        if self.verbose not in (0, 1, 2):
            raise InputError(
                "`verbose` must be 0, 1 or 2. "
                f"Received: verbose={self.verbose!r}"
            )

    def say(self, text: str) -> None:
        if self.verbose and not self.silent:
            print(text)

    def warn(self, text: str) -> None:
        if not self.silent:
            stream = sys.stdout if self.verbose else sys.stderr
            print(f"WARNING: {text}", file=stream)

    def displays(
        self, config: Config, steps_per_epoch: int
    ) -> list[keras.callbacks.Callback]:
        """Callbacks for `fit` that show how a run goes."""
        if self.silent or not self.verbose:
            return []
        display = Progress if self.verbose == 1 else EpochLines
        names = task.outputs(config.difference)
        return [display(names, config.steps, steps_per_epoch)]


class _Display(keras.callbacks.Callback):
    def __init__(self, outputs, steps, steps_per_epoch, stream=None):
        super().__init__()
        self.outputs = list(outputs)
        self.steps = steps
        self.steps_per_epoch = steps_per_epoch
        self.epochs = -(-steps // steps_per_epoch)
        self.stream = stream or sys.stdout

    def _write(self, text):
        self.stream.write(text)
        self.stream.flush()


class Progress(_Display):
    """Prints a line for each epoch: a bar, then loss and accuracy (in percent)
    of each output; and a second line with those on held-out images.

    On a terminal the line is redrawn while the epoch runs; elsewhere (a file,
    a pipe) only finished lines are written.

    Args:
        outputs: Names of the outputs, in the order of the columns.
        steps: Steps of the whole run.
        steps_per_epoch: Steps of an epoch; the last one may be shorter.
        stream: Where to write. Default: standard output.
    """

    def __init__(self, outputs, steps, steps_per_epoch, stream=None):
        super().__init__(outputs, steps, steps_per_epoch, stream)
        self.redraws = self.stream.isatty()
        self.begin = len(self._begin(self.epochs - 1, 1.0, 0))
        self.headed = False

    def on_train_begin(self, logs=None):
        if self.headed:
            return
        self.headed = True
        blank = " " * self.begin
        losses, accuracies = (
            "".join(f"{name:>{_width(name, least)}}" for name in self.outputs)
            for least in (_LOSS, _ACCURACY)
        )
        self._write(
            f"{blank}{'loss':>{len(losses)}} |"
            f"{'accuracy, %':>{len(accuracies)}}\n"
            f"{blank}{losses} |{accuracies}\n"
        )

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        before = epoch * self.steps_per_epoch
        self.in_epoch = min(self.steps_per_epoch, self.steps - before)
        # An epoch that was interrupted has its last steps before it.
        self.done = self.begun = self.in_epoch - self.params["steps"]
        self.epoch_start = self.drawn = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        now = time.monotonic()
        if self.redraws and now - self.drawn >= _REFRESH:
            self.drawn = now
            pace = (now - self.epoch_start) / (self.done - self.begun)
            left = pace * (self.in_epoch - self.done)
            share = self.done / self.in_epoch
            line = self._begin(self.epoch, share, left, "left")
            self._write(f"\r{line}{self._cells(logs)}")

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.monotonic() - self.epoch_start
        line = self._begin(epoch, 1.0, seconds)
        back = chr(13) if self.redraws else ""
        self._write(f"{back}{line}{self._cells(logs)}\n")
        if f"val_{self.outputs[0]}_loss" in logs:
            label = "held out".rjust(self.begin - 6) + " " * 6
            self._write(f"{label}{self._cells(logs, 'val_')}\n")

    def _begin(self, epoch, done, seconds, word=""):
        filled = "━" * round(_BAR * done)
        count = f"epoch {epoch + 1:>{len(str(self.epochs))}}/{self.epochs}"
        return f"{count} {filled:<{_BAR}} {seconds:4.0f}s {word:<4}"

    def _cells(self, logs, prefix=""):
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
        steps: Steps of the whole run.
        steps_per_epoch: Steps of an epoch; the last one may be shorter.
        stream: Where to write. Default: standard output.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.monotonic() - self.epoch_start
        step = min((epoch + 1) * self.steps_per_epoch, self.steps)
        line = (
            f"epoch {epoch + 1}/{self.epochs}, step {step}/{self.steps}, "
            f"{seconds:.0f} s: {self._parts(logs)}"
        )
        if f"val_{self.outputs[0]}_loss" in logs:
            line += f"; held out: {self._parts(logs, 'val_')}"
        self._write(line + "\n")

    def _parts(self, logs, prefix=""):
        return ", ".join(
            f"{name} {100 * float(logs[f'{prefix}{name}_accuracy']):.2f} % "
            f"(loss {_loss(float(logs[f'{prefix}{name}_loss']))})"
            for name in self.outputs
        )


def _loss(loss):
    """0.123, 12.35, 123.5: squared errors begin large."""
    decimals = 3 - sum(loss >= bound for bound in (10, 100, 1000))
    return f"{loss:.{decimals}f}"


def _width(name, least):
    return max(len(name), least) + 1
