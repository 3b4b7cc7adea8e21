"""MNIST addition: numbers of many digits, learned from their sums alone.

For each seed, makes examples of all training images, each used once; trains
by a fixed recipe; and scores the weights of the last step, once, on examples
made of the test images. `lenet` is trained as published work does it,
`residual` as the default preset. Results are written after each seed; a file
that is there goes on with its next seed.
"""

import argparse
import dataclasses
import statistics
import time

import numpy as np

from benchmarks import harness
from benchmarks.accuracy import addition_training as training
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.quiet import import_tensorflow

_STARTS = (None, "all", "first")
FAILED = 90.0  # A run with fewer digits right than this did not start, in %.
OPTIONS = {
    "digits": (4, "of a number"),
    "network": ("lenet", "lenet, or residual"),
    "seeds": (10, "how many"),
    "start": (str, "all columns at once, or the first one first"),
    "epochs": (float, "passes over the examples (default: 20, residual 4)"),
    "data": ("auto", "as train.py takes it"),
}
FILE = "addition_{network}_{digits}"
SMOKE = {"seeds": 1, "digits": 15, "epochs": 1.0, "data": "sample"}


def differences(values: argparse.Namespace) -> list[str]:
    """More seeds; `main` looks for others, when it knows the data."""
    return harness.fewer(
        {"n": len(values.before.get("runs", []))}, values.seeds
    )


def main(values: argparse.Namespace) -> None:
    digits, network = values.digits, values.network
    if network not in training.CONFIGS or values.start not in _STARTS:
        raise InputError(
            f"--network must be one of {', '.join(training.CONFIGS)}, and "
            f"--start all or first. Received: {network!r}, {values.start!r}"
        )
    start = values.start or training.STARTS[network]
    mnist = load_mnist(values.data)
    images, tests = len(mnist.train_labels), len(mnist.test_labels)
    sums = images // (2 * digits)
    import_tensorflow()
    training.make_examples(mnist.test_labels, digits, np.arange(tests))
    config = training.recipe(network, digits, sums, values.epochs)
    report = {
        "digits": digits,
        "network": network,
        "start": start,
        "data": str(mnist.source),
        "sums": [sums, tests // (2 * digits)],
        "config": {name: getattr(config, name) for name in training.USED},
    }
    before, runs = values.before, []
    if before is not None:
        others = [f"another {x}" for x in report if before.get(x) != report[x]]
        harness.refuse(values.path, others)
        runs = before["runs"]
    for seed in range(len(runs), values.seeds):
        seeded = dataclasses.replace(config, seed=seed)
        begun = time.process_time()
        model = training.train(seeded, network, start, mnist, digits)
        took = time.process_time() - begun
        found = {
            "seed": seed,
            **training.score(model, mnist, digits),
            "core_seconds": round(took, 1),
        }
        print(found, flush=True)
        runs.append(found)
        done = report | {"n": len(runs), "runs": runs, "summary": summary(runs)}
        harness.save(values, done, show=False)
    harness.save(values, report | {"runs": runs, "summary": summary(runs)})


def summary(runs: list[dict]) -> dict:
    """Mean and standard deviation over seeds, and the failed starts."""
    found = {
        "n": len(runs),
        "failed_starts": sum(run["digit"] < FAILED for run in runs),
    }
    for name in runs[0].keys() - {"seed"}:
        values = [run[name] for run in runs]
        std = statistics.stdev(values) if len(runs) > 1 else 0.0
        found[name] = [round(statistics.mean(values), 3), round(std, 3)]
    return found
