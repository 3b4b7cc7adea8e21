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
    """

    framework: str
    outputs: tuple[str, ...]
    slices: int
    seeds: int


OURS = ("fast", "residual")
_ALL = ("digit", "sum", "difference")
COMPETITORS = {
    "fast": Competitor("Keras", _ALL, 20, 5),
    "residual": Competitor("Keras", _ALL, 40, 2),
    "baseline_classification": Competitor("PyTorch", _ALL[:2], 14, 2),
    "baseline_regression": Competitor("PyTorch", _ALL, 19, 3),
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

    `data` has the arrays of an `mnist.npz`; `slices` is how many turns to take.
    """

    def __init__(
        self, connection: Connection, data: Any, slices: int, smoke: bool
    ) -> None:
        self.connection, self.slices, self.smoke = connection, slices, smoke
        self.test = data["x_test"], data["y_test"]
        self.seconds = self.started = 0.0
        self.ends: list[int] = []

    def begin(
        self, steps: int, predictor: Callable[[], PairPredictor], **facts: Any
    ) -> None:
        """Waits for the first turn: the next thing is the first step.

        Of the whole training there are `steps`. `predictor` is called before
        each scoring; the report has the `facts`.
        """
        slices = min(self.slices, steps)
        self.ends = [steps * (i + 1) // slices for i in range(slices)]
        self.predictor = predictor
        self.connection.send(facts)
        self._wait()

    def step(self, step: int, images: int) -> None:
        """Counts a step that was done, with all `images` seen so far; at the
        end of a turn, scores and waits."""
        if step < self.ends[0]:
            return
        self.seconds += time.perf_counter() - self.started
        self.ends = [end for end in self.ends if end > step]
        scores = score(self.predictor(), *self.test)
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        point = {"images": images, "seconds": round(self.seconds, 3)}
        memory, last = round(kilobytes / 1024), not self.ends
        self.connection.send((point, scores, memory, last))
        self._wait()

    def _wait(self) -> None:
        try:
            self.connection.recv()
        except EOFError:  # Whatever comes after the last turn is not asked for.
            os._exit(0)
        self.started = time.perf_counter()


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
    slices = 2 if smoke else competitor.slices
    module.train(name, data, path, seed, Turns(connection, data, slices, smoke))
