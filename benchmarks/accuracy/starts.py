"""What becomes of a recipe's runs in their first steps, counted over seeds.

    python -m benchmarks starts ROW --seeds 10 --stop-after 938 [FLAGS]

begins runs as train.py does with these flags, each in a process of its own,
stops each after so many steps, and counts how many diverged, and how many had
learned to read digits by then.
"""

import argparse
import dataclasses
import itertools
import tempfile
from typing import Any

from benchmarks import harness
from benchmarks.accuracy.results import add_arguments
from benchmarks.accuracy.results import at_once
from benchmarks.report.peers import LEARNED
from benchmarks.workers import Worker
from keras_mnist_sum import presets
from keras_mnist_sum.commands import cli
from keras_mnist_sum.commands import train
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import DivergedError

__all__ = ["add_arguments", "main"]

OPTIONS = {
    "seeds": (10, "how many"),
    "stop_after": (938, "steps"),
    "jobs": (1, "runs at once"),
}
SMOKE, FILE, REST = {"seeds": 1, "stop_after": 4}, "{row}_starts", True


def main(values: argparse.Namespace) -> None:
    parser = cli.ArgumentParser(prog="train.py")
    train.add_arguments(parser)
    given = parser.parse_args(values.rest)
    config = cli.config_of(given, presets.get(given.preset).config)

    def begin(seed: int) -> dict[str, Any]:
        text = dataclasses.replace(config, seed=seed).to_json()
        with Worker("benchmarks.accuracy.starts:Start") as worker:
            path = f"{folder}/{seed}"
            found = worker.ask("train", text, values.stop_after, path)
        print(f"seed {seed}: {found}", flush=True)
        return {"seed": seed, **found}

    with tempfile.TemporaryDirectory() as folder:
        runs = list(at_once(begin, range(values.seeds), values.jobs))
    shares = [run["accuracy"]["digit"] for run in runs if run["accuracy"]]
    found = {
        "diverged": values.seeds - len(shares),
        "learned": sum(100 * share > LEARNED for share in shares),
        "digit_percent": [round(100 * share, 2) for share in shares],
        "runs": runs,
    }
    harness.save(values, found)


class Start:
    """A run that is stopped early, in a process of its own."""

    def train(self, config: str, steps: int, folder: str) -> dict[str, Any]:
        """Its `accuracy` by output; `None`, if it diverged."""
        import keras

        from keras_mnist_sum.training.train import train

        def count(batch: int, logs: Any) -> None:
            stop.model.stop_training = next(done) >= steps

        stop = keras.callbacks.LambdaCallback(on_train_batch_end=count)
        done, how = itertools.count(1), {"callbacks": [stop], "verbose": 0}
        try:
            found = train(Config.from_json(config), folder, **how)
        except DivergedError:
            return {"accuracy": None}
        return {"accuracy": found.accuracy}
