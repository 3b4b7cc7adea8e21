"""MNIST addition: numbers of many digits, learned from their sums alone.

    python -m benchmarks.addition --digits 4 --network lenet --seeds 10

For each seed, makes examples of all training images, each used once; trains
by a fixed recipe; and scores the weights of the last step, once, on examples
made of the test images. `lenet` is trained as published work does it,
`residual` as the default preset. Results are written after each seed, to
`benchmarks/results/addition_NETWORK_DIGITS.json` unless `--out` names another
file; a file that is there goes on with its next seed.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.addition_training import CONFIGS
from benchmarks.addition_training import STARTS
from benchmarks.addition_training import USED
from benchmarks.addition_training import make_examples
from benchmarks.addition_training import recipe
from benchmarks.addition_training import score
from benchmarks.addition_training import train
from keras_mnist_sum.commands import cli
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils import environment
from keras_mnist_sum.utils.quiet import import_tensorflow

RESULTS = Path(__file__).resolve().parent / "results"
FAILED = 90.0  # A run with fewer digits right than this did not start, in %.


def summary(report: dict) -> dict:
    """Mean and standard deviation over seeds, and the failed starts."""
    runs = report["runs"]
    columns = {
        name: [run[name] for run in runs] for name in runs[0] if name != "seed"
    }
    return {
        "n": len(runs),
        "failed_starts": sum(run["digit"] < FAILED for run in runs),
        **{
            name: [
                round(statistics.mean(values), 3),
                round(statistics.stdev(values), 3) if len(runs) > 1 else 0.0,
            ]
            for name, values in columns.items()
        },
    }


def measure(arguments: argparse.Namespace) -> None:
    digits, network = arguments.digits, arguments.network
    start = arguments.start or STARTS[network]
    if digits == 1:
        start = "all"  # There is but one column.
    path = arguments.out or RESULTS / f"addition_{network}_{digits}.json"
    atomic_files.check_file(path)
    mnist = load_mnist(arguments.data)
    sums = len(mnist.train_labels) // (2 * digits)
    import_tensorflow()
    make_examples(mnist.test_labels, digits, np.arange(len(mnist.test_labels)))
    config = recipe(network, digits, sums, arguments.epochs)
    report = {
        "command": "python -m benchmarks.addition "
        f"--digits {digits} --network {network}"
        + (f" --start {arguments.start}" if arguments.start else "")
        + (f" --epochs {arguments.epochs:g}" if arguments.epochs else ""),
        "digits": digits,
        "network": network,
        "start": start,
        "data": str(mnist.source),
        "sums": [sums, len(mnist.test_labels) // (2 * digits)],
        "config": {name: getattr(config, name) for name in USED},
        "runs": [],
    }
    if path.is_file():
        stored = json.loads(atomic_files.read_text(path))
        others = [
            x for x in report if x != "runs" and stored.get(x) != report[x]
        ]
        if others:
            raise InputError(
                "Results of other runs are not replaced: name another file by "
                f"--out. Received: {str(path)!r}, of another {others[0]}"
            )
        report["runs"] = stored["runs"]
    for seed in range(len(report["runs"]), arguments.seeds):
        begin, processor = time.perf_counter(), time.process_time()
        seeded = dataclasses.replace(config, seed=seed)
        model = train(seeded, network, start, mnist, digits)
        spent = {
            "seconds": round(time.perf_counter() - begin, 1),
            "core_seconds": round(time.process_time() - processor, 1),
        }
        found = {"seed": seed, **score(model, mnist, digits), **spent}
        report["runs"].append(found)
        report["summary"] = summary(report)
        report["environment"] = environment.facts()
        atomic_files.write_text(path, json.dumps(report, indent=2) + "\n")
        print(report["runs"][-1], flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = cli.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--digits", type=int, default=4, help="of a number (default: 4)"
    )
    parser.add_argument(
        "--network", choices=CONFIGS, default="lenet", help="(default: lenet)"
    )
    parser.add_argument(
        "--seeds", type=int, default=10, help="how many (default: 10)"
    )
    parser.add_argument(
        "--start",
        choices=("all", "first"),
        help="begin with all columns of a sum, or with the first one alone "
        "(default: lenet with all, residual with the first one)",
    )
    parser.add_argument(
        "--epochs",
        type=float,
        help="passes over the training examples (default: lenet 20, "
        "residual 4)",
    )
    parser.add_argument(
        "--data", default="auto", help="as train.py takes it (default: auto)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="what to write"
    )
    values = parser.parse_args(arguments)
    for name in ("digits", "seeds", "epochs"):
        value = getattr(values, name)
        if value is not None and not value > 0:
            parser.error(f"--{name} must be positive. Received: {value}")
    return cli.run(lambda: measure(values))


if __name__ == "__main__":
    sys.exit(main())
