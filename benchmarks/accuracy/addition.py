"""MNIST addition: numbers of many digits, learned from their sums alone.

For each seed, makes examples of all training images, each used once; trains
by a fixed recipe; and scores the weights of the last step, once, on examples
made of the test images. `lenet` is trained as published work does it,
`residual` as the default preset. Results are written after each seed; a file
that is there goes on with its next seed.
"""

import argparse
import dataclasses
import time

from benchmarks import harness
from benchmarks.accuracy.results import mean_std
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.quiet import import_tensorflow

FAILED = 90.0  # A run with fewer digits right than this did not start, in %.
STARTS = {"lenet": "all", "residual": "first"}
OPTIONS = {
    "digits": (4, "of a number"),
    "seeds": (10, "how many"),
    "epochs": (float, "passes over the examples (default: 20, residual 4)"),
    "data": ("auto", "as train.py takes it"),
}
FILE = "addition_{network}_{digits}"
SMOKE = {"seeds": 1, "digits": 15, "epochs": 1.0, "data": "sample"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--network", choices=STARTS, default="lenet", help="(default: lenet)")
    text = "all columns, or the first one first (default: all, residual first)"
    add("--start", choices=("all", "first"), help=text)


def main(values: argparse.Namespace) -> None:
    digits, network = values.digits, values.network
    mnist = load_mnist(values.data)
    images, tests = len(mnist.train_labels), len(mnist.test_labels)
    sums = images // (2 * digits)
    if tests < 2 * digits:
        raise InputError(
            f"--digits must be at most {tests // 2}, for which there are "
            f"images. Received: --digits {digits}"
        )
    import_tensorflow()
    from benchmarks.accuracy import addition_training as training

    config = training.recipe(network, digits, sums, values.epochs)
    recipe = {
        "digits": digits,
        "network": network,
        "start": values.start or STARTS[network],
        "data": str(mnist.source),
        "sums": [sums, tests // (2 * digits)],
        "config": {name: getattr(config, name) for name in training.USED},
    }
    runs = harness.runs_before(values, **recipe)
    for seed in range(len(runs), values.seeds):
        seeded = dataclasses.replace(config, seed=seed)
        begun = time.process_time()
        model = training.train(seeded, network, recipe["start"], mnist, digits)
        took = round(time.process_time() - begun, 1)
        scores = training.score(model, mnist, digits)
        runs.append({"seed": seed, **scores, "core_seconds": took})
        print(runs[-1], flush=True)
        done = recipe | {"n": len(runs), "runs": runs, "summary": summary(runs)}
        harness.save(values, done, show=len(runs) == values.seeds)


def summary(runs: list[dict]) -> dict:
    """Mean and standard deviation over seeds, and the failed starts."""
    failed = sum(run["digit"] < FAILED for run in runs)
    found = {"n": len(runs), "failed_starts": failed}
    for name in list(runs[0])[1:]:
        found[name] = mean_std([run[name] for run in runs])
    return found
