"""Who competes, and the process in which a competitor takes its turns."""

import importlib
import os
import resource
import signal
import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.quiet import import_tensorflow


@dataclass(frozen=True)
class Competitor:
    """One network and its training.

    Attributes:
        framework: Which module trains it: `in_keras` or `in_pytorch`.
        outputs: What it predicts.
        slices: Turns that its training is cut into, of equally many steps.
        seeds: How often it is trained, unless `--seeds` says otherwise.
        turns: After how many of its turns it is stopped, if not after all: its
            starts are counted.
    """

    framework: str
    outputs: tuple[str, ...]
    slices: int
    seeds: int
    turns: int | None = None


OURS = ("fast", "residual")
_ALL = ("digit", "sum", "difference")
COMPETITORS = {
    "fast": Competitor("Keras", _ALL, 20, 5),
    "residual": Competitor("Keras", _ALL, 40, 2),
    "baseline_classification": Competitor("PyTorch", _ALL[:2], 14, 2),
    "baseline_regression": Competitor("PyTorch", _ALL, 76, 10, turns=2),
    "hard_argmax": Competitor("Keras", _ALL[:2], 33, 2),
    "train_mnist_fast": Competitor("PyTorch", _ALL[:1], 12, 5),
    "mnist_convnet": Competitor("Keras", _ALL[:1], 30, 2),
}

# From uint8 images (batch, 28, 28) to a prediction of each output, with each
# of the ten numbers, (batch, 10, classes), or of the digit alone, (batch, 1,
# 10).
PairPredictor = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def score(
    predict: PairPredictor, images: np.ndarray, labels: np.ndarray
) -> dict[str, float] | None:
    """Right answers in percent, of all pairs, or of the images alone; `None`
    if a prediction is not finite."""
    outputs, right = Task.named(), dict[str, list]()
    for start in range(0, len(images), 500):
        part = slice(start, start + 500)
        for name, prediction in predict(images[part]).items():
            if not np.isfinite(prediction).all():
                return None
            found = outputs[name].decode(prediction)  # (batch, 10 or 1)
            truth = outputs[name].pair_values[labels[part], : found.shape[1]]
            right.setdefault(name, []).append(found == truth)
    return {
        name: round(100 * float(np.concatenate(parts).mean()), 3)
        for name, parts in right.items()
    }


class Turns:
    """A competitor's clock: it trains while it is its turn.

    `data` has the arrays of an `mnist.npz`.
    """

    def __init__(
        self,
        connection: Connection,
        data: Any,
        competitor: Competitor,
        smoke: bool,
    ) -> None:
        self.connection, self.smoke = connection, smoke
        self.slices = 2 if smoke else competitor.slices
        self.turns = competitor.turns
        self.test = data["x_test"], data["y_test"]
        self.seconds = self.core_seconds = 0.0
        self.ends: list[int] = []

    def begin(
        self, steps: int, predictor: Callable[[], PairPredictor], **facts: Any
    ) -> None:
        """Waits for the first turn: the next thing is the first step.

        Of the whole training there are `steps`. `predictor` is called before
        each scoring; the report has the `facts`.
        """
        slices = min(self.slices, steps)
        ends = [steps * (i + 1) // slices for i in range(slices)]
        self.ends = ends[: self.turns]
        self.predictor = predictor
        self.connection.send(facts)
        self._wait()

    def step(self, step: int, images: int) -> None:
        """Counts a step that was done, with all `images` seen so far; at the
        end of a turn, scores and waits."""
        if step < self.ends[0]:
            return
        self.seconds += time.perf_counter() - self.started[0]
        self.core_seconds += time.process_time() - self.started[1]
        self.ends = [end for end in self.ends if end > step]
        scores = score(self.predictor(), *self.test)
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        point = {
            "images": images,
            "seconds": round(self.seconds, 3),
            "core_seconds": round(self.core_seconds, 2),
        }
        memory, last = round(kilobytes / 1024), not self.ends
        self.connection.send((point, scores, memory, last))
        self._wait()

    def _wait(self) -> None:
        try:
            self.connection.recv()
        except EOFError:  # Whatever comes after the last turn is not asked for.
            os._exit(0)
        self.started = time.perf_counter(), time.process_time()


def work(
    connection: Connection, name: str, path: Path, seed: int, smoke: bool
) -> None:
    """A competitor's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The benchmark ends it.
    competitor = COMPETITORS[name]
    if competitor.framework == "Keras":
        import_tensorflow()
    place = f"benchmarks.peers.in_{competitor.framework.lower()}"
    module, data = importlib.import_module(place), dict(np.load(path))
    turns = Turns(connection, data, competitor, smoke)
    module.train(name, data, path, seed, turns)
