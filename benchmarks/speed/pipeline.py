"""How long a training step waits for its data.

For each preset, in turns in one process: images per second of the input
pipeline alone and of `fit` on it; the time that `fit` then waits in the
iterator's `next`; and the time of `fit` on one batch that is
there already. The wait is timed within the compiled step, less what a look at
the clock takes. Pipeline and training share the cores, so a step without any
input to compute is faster by more than the wait.
"""

import argparse
import statistics
import time
from typing import Any

import tensorflow as tf

from benchmarks import harness
from benchmarks.speed import trainee
from benchmarks.turns import Turns
from benchmarks.turns import interleave
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.sources import load_mnist

OPTIONS = {
    "presets": ("residual,fast", "which ones, separated by commas"),
    "rounds": (9, "turns of everything"),
    "batches": (200, "of the pipeline alone"),
    "steps": (20, "of a piece of residual; of fast, 5 times"),
    "data": ("auto", "as train.py takes it"),
}
SMOKE = {"rounds": 1, "batches": 5, "steps": 4, "data": "sample"}


def main(values: argparse.Namespace) -> None:
    mnist = load_mnist(values.data)
    found, turns = {}, {}
    tf.config.experimental.enable_op_determinism()  # As in a run.
    for name in values.presets.split(","):
        config, times = trainee.config_of(name), 5 if name == "fast" else 1
        fit = Fit(mnist, config, values.steps * times + trainee.WARM)
        measured = fit.interleave(values.rounds, values.batches)
        found[name] = summary(measured, config.batch_size)
        found[name]["precision"] = config.precision
        turns[name] = measured.to_json()
    what = {"data": mnist.description, "presets": found, "turns": turns}
    harness.save(values, what)


class Fit:
    """Pieces of `fit`, on the pipeline and on a batch that is there."""

    def __init__(self, mnist: Mnist, config: Config, steps: int) -> None:
        self.config, self.steps = config, steps
        self.split = mnist.split(config.validation_fraction)
        self.model = trainee.compiled(config)
        self.model.make_train_function()
        self.whole = self.model.train_function
        self.clocked = tf.function(self._clocked, reduce_retracing=True)

    def interleave(self, rounds: int, batches: int) -> Turns:
        there = tf.data.Dataset.from_tensors(next(iter(self.batches())))
        work = {
            "alone": lambda: self.pipeline_alone(batches),
            "piped": lambda: self.fit(self.batches()),
            "waiting": self.share_of_waiting,
            "there": lambda: self.fit(there.repeat()),
        }
        return interleave(work, rounds)

    def batches(self) -> tf.data.Dataset:
        return pipeline.training_dataset(
            self.split.images, self.split.labels, self.config
        )

    def pipeline_alone(self, batches: int) -> float:
        """Seconds for a batch."""
        iterator = iter(self.batches())
        next(iterator)
        start = time.perf_counter()
        for _ in range(batches):
            next(iterator)
        return (time.perf_counter() - start) / batches

    def fit(self, data: tf.data.Dataset) -> float:
        """Seconds for a step."""
        return trainee.seconds_of_a_step(self.model, data, self.steps)

    def share_of_waiting(self) -> float:
        """What part of its time `fit` spends in the iterator's `next`."""
        waits = []

        def step(iterator: tf.data.Iterator) -> dict:
            wait, metrics = self.clocked(iterator)
            waits.append(float(wait))
            return metrics

        self.model.train_function = step
        seconds = self.fit(self.batches())
        self.model.train_function = self.whole
        return statistics.mean(waits[trainee.WARM :]) / seconds

    def _clocked(self, iterator: tf.data.Iterator) -> tuple[tf.Tensor, dict]:
        # In one graph, as in a run: from Python, `next` itself takes as long
        # as this wait. Nor do dataset operations wait for others on their own.
        clocks: list[tf.Tensor] = []

        def look_at_clock(after: list[tf.Tensor]) -> None:
            with tf.control_dependencies(after):
                now = tf.numpy_function(time.perf_counter, [], tf.float64)
                clocks.append(now)

        look_at_clock([])
        look_at_clock(clocks[:1])  # How long a look takes.
        with tf.control_dependencies(clocks):
            batch = next(iterator)
        look_at_clock(tf.nest.flatten(batch))
        with tf.control_dependencies(clocks):
            metrics = self.model.train_step(batch)
        before, start, end = clocks
        return (end - start) - (start - before), metrics


def summary(turns: Turns, size: int) -> dict[str, Any]:
    """Medians over rounds, in each of which everything is measured once."""
    waits = [round(100 * x, 2) for x in turns.seconds("waiting")]
    costs = [round(100 * (1 - x), 1) for x in turns.ratios("there", "piped")]
    return {
        "pipeline_images_per_second": round(size / turns.median("alone")),
        "fit_images_per_second": round(size / turns.median("piped")),
        "ratio": turns.ratio("piped", "alone", 1),
        "milliseconds_of_a_step": turns.milliseconds("piped"),
        "waiting_percent": round(statistics.median(waits), 2),
        "waiting_percent_of_rounds": waits,
        "cost_percent": round(statistics.median(costs), 1),
        "cost_percent_of_rounds": costs,
    }
