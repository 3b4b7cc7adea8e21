"""What training costs as the model, the batch and the data grow.

    python -m benchmarks.growth [--draw]

Trains the default preset in float32 with other widths, other batch sizes and
other numbers of training images, each in a process of its own, which says how
much memory it used at most. Pieces of training take turns, and their first
steps are not timed. Before that, one run of `train.py` tells the peak memory of
the default run, which does not depend on the number of steps. Prints medians,
writes them to `benchmarks/results/growth.json` and draws them in
`docs/growth.png`; `--draw` draws what that file holds. Full MNIST must be
prepared.
"""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth_plot import draw
from keras_mnist_sum import presets
from keras_mnist_sum.commands import cli
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "growth.json"
SWEEPS: dict[str, tuple[int, ...]] = {
    "width": (16, 32, 64, 128),
    "batch_size": (32, 64, 128, 256, 512, 1024),
    "images": (5_000, 15_000, 60_000),
}
ROUNDS = {"width": 7, "batch_size": 7, "images": 3}
LEAST = 12, 1.5  # steps of a piece, and seconds
STEPS = 60  # of the run that tells the memory of the default one


@dataclass
class Point:
    """A size, in the process that trains it."""

    config: Config
    path: str  # of an mnist.npz with so many training images
    steps: int = 0  # of a piece; 0 for as many as take a while

    def __post_init__(self) -> None:
        from keras_mnist_sum.utils.quiet import import_tensorflow

        import_tensorflow()
        import tensorflow as tf

        from keras_mnist_sum.data import pipeline
        from keras_mnist_sum.models.build import build_model
        from keras_mnist_sum.training.optimization import compile_model

        self.memory = {"TensorFlow": megabytes()}
        mnist = load_mnist(self.path)
        self.examples = mnist.train_images, mnist.train_labels
        self.memory["images"] = megabytes()
        tf.config.experimental.enable_op_determinism()  # As in a run.
        self.model = compile_model(build_model(self.config), self.config)
        self.memory["model"] = megabytes()
        # One for all pieces, as a run has one: it holds a copy of the images.
        self.data = pipeline.training_dataset(*self.examples, self.config)
        self.seconds(LEAST[0])  # Traces.
        if not self.steps:
            steps, least = LEAST
            self.steps = max(steps, round(least / self.seconds(steps)))

    def seconds(self, steps: int = 0) -> float:
        """Seconds for a step, in a piece of `steps` of them."""
        from benchmarks.timing import seconds_of_a_step

        return seconds_of_a_step(self.model, self.data, steps or self.steps)

    def facts(self) -> dict[str, Any]:
        from keras_mnist_sum.utils import environment

        facts = environment.facts()
        return {
            "steps": self.steps,
            "parameters": self.model.count_params(),
            "megabytes": {**self.memory, "training": megabytes()},
            "environment": facts,
        }


_point: Point


def begin(*arguments: Any) -> None:
    global _point
    _point = Point(*arguments)


def piece() -> float:
    return _point.seconds()


def facts() -> dict[str, Any]:
    return _point.facts()


def megabytes() -> int:
    """The most memory that this process has used so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(name: str, folder: Path) -> list[dict[str, Any]]:
    """Medians for each size of one sweep, whose pieces take turns."""
    config = presets.get(presets.DEFAULT).config
    config = dataclasses.replace(
        config, precision="float32", validation_fraction=0.0
    )
    spawn = multiprocessing.get_context("spawn")
    points = {}
    with contextlib.ExitStack() as stack:
        for size in SWEEPS[name]:
            point, images, steps = config, SWEEPS["images"][-1], 0
            if name == "images":
                images, steps = size, -(-size // config.batch_size)
            else:
                changes: dict[str, Any] = {name: size}
                point = dataclasses.replace(config, **changes)
            path = str(folder / f"{images}.npz")
            process = ProcessPoolExecutor(1, spawn, begin, (point, path, steps))
            points[size] = point, stack.enter_context(process)
            process.submit(facts).result()  # It has begun, alone.
        rounds = [
            {
                x: process.submit(piece).result()
                for x, (_, process) in points.items()
            }
            for _ in range(ROUNDS[name])
        ]
        rows = []
        for size, (point, process) in points.items():
            found = process.submit(facts).result()
            step = statistics.median(each[size] for each in rounds)
            row = {
                name: size,
                "milliseconds_of_a_step": round(1000 * step, 2),
                "images_per_second": round(point.batch_size / step),
                "n": ROUNDS[name],
                **found,
            }
            if name == "images":
                row["seconds_of_an_epoch"] = round(step * found["steps"], 2)
            rows.append(row)
            print(
                f"{name} {size:>6,}: {row['milliseconds_of_a_step']:8.1f} ms a "
                f"step, {row['images_per_second']:6,} images/s, "
                f"{found['megabytes']['training']:5,} MB"
            )
    return rows


def peak_of_a_run(folder: Path) -> int:
    """Megabytes at most of `train.py` as it is, with fewer steps."""
    command = "train.py --data tfds --precision float32 "
    command += f"--steps {STEPS} --run-dir {folder}/run"
    process = subprocess.Popen(
        [sys.executable, *command.split()],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("error: train.py failed")
    return used.ru_maxrss // 1024


def save_images(folder: Path) -> None:
    """Writes an mnist.npz for each number of training images."""
    mnist = load_mnist("tfds")
    for count in SWEEPS["images"]:
        np.savez(
            folder / f"{count}.npz",
            x_train=mnist.train_images[:count],
            y_train=mnist.train_labels[:count],
            x_test=mnist.test_images[:1],
            y_test=mnist.test_labels[:1],
        )


def main() -> int:
    parser = cli.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    values = parser.parse_args()

    def command() -> None:
        if values.draw and not RESULTS.is_file():
            raise InputError(
                "`--draw` draws what was measured before. "
                f"Received: no file {str(RESULTS)!r}"
            )
        if not values.draw:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                # First: it has MNIST decoded, for which this process would
                # need TensorFlow, and the memory of a process counts as used
                # by those that it starts.
                peak = peak_of_a_run(folder)
                save_images(folder)
                report: dict[str, Any] = {
                    "command": "python -m benchmarks.growth",
                    "megabytes_of_the_default_run": peak,
                    **{name: measure(name, folder) for name in SWEEPS},
                }
            rows = [row for name in SWEEPS for row in report[name]]
            report["environment"] = [x.pop("environment") for x in rows][-1]
            RESULTS.write_text(json.dumps(report, indent=2) + "\n")
        draw(json.loads(RESULTS.read_text()), ROOT / "docs" / "growth.png")

    return cli.run(command)


if __name__ == "__main__":
    sys.exit(main())
