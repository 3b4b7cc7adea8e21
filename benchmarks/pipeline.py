"""How long does a training step wait for its data?

    python -m benchmarks.pipeline

For the presets `residual` and `fast`, in turns in one process: images per
second of the input pipeline alone and of `fit` on it; the time that `fit` then
waits in the iterator's `next`; and the time of `fit` on one batch that is
there already. The wait is timed within the compiled step, less what a look at
the clock takes. Pipeline and training share the cores, so a step without any
input to compute is faster by more than the wait. Prints medians and writes them
to `benchmarks/results/pipeline.json`.
"""

import dataclasses
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_mnist_sum.utils.quiet import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402

from benchmarks import flags  # noqa: E402
from benchmarks.timing import WARM  # noqa: E402
from benchmarks.timing import seconds_of_a_step  # noqa: E402
from keras_mnist_sum import presets  # noqa: E402
from keras_mnist_sum.config import Config  # noqa: E402
from keras_mnist_sum.data import pipeline  # noqa: E402
from keras_mnist_sum.data.mnist import Mnist  # noqa: E402
from keras_mnist_sum.data.sources import load_mnist  # noqa: E402
from keras_mnist_sum.distribution.devices import find_devices  # noqa: E402
from keras_mnist_sum.models.build import build_model  # noqa: E402
from keras_mnist_sum.training.optimization import compile_model  # noqa: E402
from keras_mnist_sum.utils import environment  # noqa: E402

ROUNDS = 9
STEPS = {"residual": 24, "fast": 104}  # of a piece of `fit`
BATCHES = 200  # of a piece of the pipeline alone
RESULTS = Path(__file__).parent / "results" / "pipeline.json"


class Fit:
    """Pieces of `fit`, on the pipeline and on a batch that is there."""

    def __init__(
        self, mnist: Mnist, config: Config, steps: int, warm: int
    ) -> None:
        self.config, self.steps, self.warm = config, steps, warm
        self.split = mnist.split(config.validation_fraction)
        self.model = compile_model(build_model(config), config)
        self.model.make_train_function()
        self.whole = self.model.train_function
        self.clocked = tf.function(self._clocked, reduce_retracing=True)
        self.there = tf.data.Dataset.from_tensors(
            next(iter(self.batches()))
        ).repeat()

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

    def on_pipeline(self) -> float:
        """Seconds for a step."""
        return self._fit(self.batches(), self.whole)

    def on_batch_that_is_there(self) -> float:
        """Seconds for a step."""
        return self._fit(self.there, self.whole)

    def share_of_waiting(self) -> float:
        """What part of its time `fit` spends in the iterator's `next`."""
        waits = []

        def step(iterator: tf.data.Iterator) -> dict:
            wait, metrics = self.clocked(iterator)
            waits.append(float(wait))
            return metrics

        seconds = self._fit(self.batches(), step)
        return statistics.mean(waits[self.warm :]) / seconds

    def _clocked(self, iterator: tf.data.Iterator) -> tuple[tf.Tensor, dict]:
        # In one graph, as in a run: from Python, `next` itself takes as long
        # as this wait. Nor do dataset operations wait for others on their own.
        clocks = []

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

    def _fit(self, data: tf.data.Dataset, train_function: Callable) -> float:
        self.model.train_function = train_function
        return seconds_of_a_step(self.model, data, self.steps, self.warm)


def measure(fit: Fit, rounds: int, batches: int) -> dict:
    """Medians over rounds, in each of which everything is measured once."""

    def one_round() -> dict[str, float]:
        return {
            "alone": fit.pipeline_alone(batches),
            "piped": fit.on_pipeline(),
            "waiting": fit.share_of_waiting(),
            "there": fit.on_batch_that_is_there(),
        }

    one_round()  # Traces.
    found = [one_round() for _ in range(rounds)]

    def median(value: Callable[[dict[str, float]], float]) -> float:
        return statistics.median(value(each) for each in found)

    size = fit.config.batch_size
    return {
        "batch_size": size,
        "precision": fit.config.precision,
        "pipeline_images_per_second": round(
            median(lambda x: size / x["alone"])
        ),
        "fit_images_per_second": round(median(lambda x: size / x["piped"])),
        "ratio": round(median(lambda x: x["piped"] / x["alone"]), 1),
        "milliseconds_of_a_step": round(median(lambda x: 1e3 * x["piped"]), 2),
        "waiting_percent": round(median(lambda x: 100 * x["waiting"]), 2),
        "waiting_percent_of_rounds": [
            round(100 * each["waiting"], 2) for each in found
        ],
        "cost_percent": round(
            median(lambda x: 100 * (1 - x["there"] / x["piped"])), 1
        ),
        "cost_percent_of_rounds": [
            round(100 * (1 - each["there"] / each["piped"]), 1)
            for each in found
        ],
    }


def main() -> None:
    flags.take_none(__doc__)
    mnist = load_mnist("auto")
    facts = environment.facts()
    tf.config.experimental.enable_op_determinism()  # As in a run.
    report: dict[str, Any] = {
        "command": "python -m benchmarks.pipeline",
        "n": ROUNDS,
        "data": mnist.description,
        "presets": {},
        "environment": facts,
    }
    devices = find_devices("single")
    for name, steps in STEPS.items():
        config = presets.get(name).config
        precision = devices.precision(config.precision)
        config = dataclasses.replace(config, precision=precision)
        fit = Fit(mnist, config, steps, WARM)
        found = report["presets"][name] = measure(fit, ROUNDS, BATCHES)
        print(
            f"{name:<10}"
            f"pipeline alone {found['pipeline_images_per_second']:9,} images/s"
            f", fit {found['fit_images_per_second']:7,} images/s; a step waits "
            f"{found['waiting_percent']:.2f} % of its time; input costs "
            f"{found['cost_percent']:.1f} %"
        )
    print(f"medians of {ROUNDS} rounds")
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
