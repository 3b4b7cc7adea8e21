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
from keras_mnist_sum.utils.console import REFRESH
from keras_mnist_sum.utils.console import bar
from keras_mnist_sum.utils.console import columns
from keras_mnist_sum.utils.console import draw
from keras_mnist_sum.utils.console import duration
from keras_mnist_sum.utils.console import erase

_LINES, _EACH = 10, 12  # of a run; epochs, each of which gets one
_BAR = 10  # characters
_FEW_STEPS, _FEW_SECONDS = 5, 2.0  # after which an estimate means something


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
    if verbose == 2:
        return [EpochLines(config.task, state)]
    validates = config.validation_fraction > 0
    return [Progress(config.task, state, validates=validates)]


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

    def _others(self, logs: dict) -> str:
        """What metrics and callbacks of the user's own add to the logs."""
        known = {
            f"{of}{name}_{kind}"
            for of in ("", "val_")
            for name in self.outputs
            for kind in ("loss", "accuracy", "mae")
        }
        return ",".join(
            f" {name} {float(value):.4g}"
            for name, value in logs.items()
            if name not in known | {"loss", "val_loss"}
        )

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


class Progress(_Display):
    """Prints a line for each tenth of a run, or for each of a few epochs: the
    seconds so far, the loss, and accuracies (in percent) of each output.

    On a terminal, another line below shows the running step and a bar of the
    whole run. Elsewhere (a file, a pipe) only finished lines are written. A
    narrow terminal gets fewer columns.

    Args:
        outputs: Names of the outputs, in the order of the columns.
        state: Where the run is.
        stream: Where to write. Default: standard output.
        validates: Whether there are accuracies of validation images, too.
    """

    def __init__(
        self,
        outputs: Iterable[str],
        state: RunState,
        stream: TextIO | None = None,
        validates: bool = False,
    ) -> None:
        super().__init__(outputs, state, stream)
        self.redraws = self.stream.isatty()
        self.blocks = {"accuracy, %": ""}
        if validates:
            self.blocks["validation, %"] = "val_"
        self.shows_loss = self.shows_time = True
        self.drawn = 0.0
        self.first_step: tuple[float, int] | None = None
        self.unwritten = ""

    def on_train_begin(self, logs: Any = None) -> None:
        if self.redraws:
            self._narrow()
        before = " " * len(self._begin(0, {}))
        titles, names = [before], [f"{before[:-4]}loss"]
        if not self.shows_loss:
            names = [before]
        for title in self.blocks:
            cells = "".join(f"{x:>{_width(x)}}" for x in self.outputs)
            names.append(cells)
            titles.append(f"{title:>{len(cells)}}")
        for line in (titles, names):
            self._write(" |".join(line).rstrip() + "\n")
        if self.redraws:
            # It takes seconds in which nothing else would be seen.
            draw(f"{self._begin(0)} | compiling the first step", self.stream)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.monotonic()
        state = self.state
        if self.first_step is None:
            self.first_step = now, state.step
        if self.redraws and now - self.drawn >= REFRESH:
            self.drawn = now
            epoch = (state.step - 1) // state.steps_per_epoch
            done = bar(state.step / state.steps, _BAR)
            end = f" | {done} {self._left(now)}".rstrip()
            line = self._begin(epoch, logs)
            cells = f" |{self._cells(logs, '')}"
            if len(line + cells + end) < columns():
                line += cells
            draw(line + end, self.stream)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        parts = [self._begin(epoch, logs)]
        parts += [self._cells(logs, prefix) for prefix in self.blocks.values()]
        parts += filter(None, [self._others(logs)])
        self.unwritten = " |".join(parts).rstrip() + "\n"
        epochs = self.state.epochs
        tenths = [_LINES * done // epochs for done in (epoch, epoch + 1)]
        if epochs <= _EACH or len(set(tenths)) > 1:
            self._write_line()

    def on_train_end(self, logs: Any = None) -> None:
        self._write_line()  # It may have been ended before its last epoch.

    def _write_line(self) -> None:
        if self.redraws:
            erase()
        self._write(self.unwritten)
        self.unwritten = ""

    def _narrow(self) -> None:
        """Leaves out columns until a line fits the terminal."""
        self.shows_loss = self._fits()
        if not self._fits() and len(self.blocks) > 1:
            del self.blocks["accuracy, %"]
        self.shows_time = self._fits()

    def _fits(self) -> bool:
        cells = len(" |") + sum(map(_width, self.outputs))
        width = len(self._begin(0, {})) + len(self.blocks) * cells
        return width < columns()

    def _begin(self, epoch: int, logs: dict | None = None) -> str:
        epochs = self.state.epochs
        text = f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}"
        if self.shows_time:
            self.state.tick()
            seconds = self.state.seconds
            words = f"{seconds:.0f}s"
            if seconds >= 1000:
                words = duration(seconds).replace(" ", "")
            text += f"{words:>6}"
        if self.shows_loss and logs is not None:
            text += f"{_loss(float(logs.get('loss', 0))):>6}"
        return text

    def _cells(self, logs: dict, prefix: str) -> str:
        values = [logs.get(f"{prefix}{x}_accuracy") for x in self.outputs]
        return "".join(
            f"{'' if value is None else f'{100 * float(value):.2f}':>{width}}"
            for value, width in zip(
                values, map(_width, self.outputs), strict=True
            )
        )

    def _left(self, now: float) -> str:
        """How long the run goes on; the first step, which is compiled, does not
        count, and a few others say nothing yet."""
        began, first = self.first_step or (now, self.state.step)
        steps, seconds = self.state.step - first, now - began
        if steps < _FEW_STEPS or seconds < _FEW_SECONDS:
            return ""
        left = seconds / steps * (self.state.steps - self.state.step)
        return f"{duration(left)} left"


class EpochLines(_Display):
    """Prints one line for each epoch, for logs: it is never redrawn, and says
    by itself what its numbers are.

    Args:
        outputs: Names of the outputs, in their order.
        state: Where the run is.
        stream: Where to write. Default: standard output.
    """

    epoch_start = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch_start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seconds = time.monotonic() - self.epoch_start
        state = self.state
        line = (
            f"epoch {epoch + 1}/{state.epochs}, step {state.step}/"
            f"{state.steps}, {seconds:.0f} s: {self._parts(logs)}"
        )
        if f"val_{self.outputs[0]}_loss" in logs:
            line += f"; validation: {self._parts(logs, 'val_')}"
        if others := self._others(logs):
            line += f";{others}"
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


def _width(name: str) -> int:
    return max(len(name), len("100.00")) + 1
