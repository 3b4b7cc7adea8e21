"""What training costs as the model, the batch and the data grow.

Trains the default preset in float32 with other widths, other batch sizes and
other numbers of training images, each in a process of its own, which says how
much memory it used at most. Pieces of training take turns, and their first
steps are not timed. Before that, one run of `train.py` tells the peak memory of
the default run, which does not depend on the number of steps.
"""

import argparse
import contextlib
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.turns import interleave
from benchmarks.workers import Worker
from keras_mnist_sum.data.sources import load_mnist

SWEEPS = {
    "width": (16, 32, 64, 128),
    "batch_size": (32, 64, 128, 256, 512, 1024),
    "images": (5_000, 15_000, 60_000),
}
FLOAT32 = {"precision": "float32", "validation_fraction": 0.0}
LEAST = 12  # steps of a piece
OPTIONS = {
    "rounds": (7, "pieces of each size; of whole epochs, half"),
    "sizes": (6, "of each kind, at most"),
    "seconds": (1.5, "that a piece takes"),
    "data": ("tfds", "as train.py takes it"),
}
SMOKE = {"rounds": 1, "sizes": 1, "seconds": 0.01, "data": "sample"}


def main(values: argparse.Namespace) -> None:
    found: dict[str, Any] = {"turns": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # First: it has MNIST decoded, for which this process would need
        # TensorFlow, and the memory of a process counts as used by those that
        # it starts.
        found["megabytes_of_the_default_run"] = _peak(folder, values.data)
        sizes = save_images(values.data, folder)
        for sweep in SWEEPS:
            found[sweep] = measure(sweep, sizes, folder, values, found["turns"])
    rows = [row for sweep in SWEEPS for row in found[sweep]]
    found["environment"] = [row.pop("environment") for row in rows][-1]
    harness.save(values, found)


def measure(
    sweep: str, images: list[int], folder: Path, values: Any, turns: dict
) -> list[dict[str, Any]]:
    """A row for each size of a sweep, whose pieces take turns."""
    epochs = sweep == "images"
    rounds = max(values.rounds // 2, 1) if epochs else values.rounds
    with contextlib.ExitStack() as stack:
        pieces, workers, batch_sizes = {}, {}, {}
        sizes = images if epochs else SWEEPS[sweep]
        for size in sizes[: values.sizes]:
            path = folder / f"{size if epochs else images[-1]}.npz"
            changes = FLOAT32 if epochs else {**FLOAT32, sweep: size}
            worker = Worker(
                "benchmarks.speed.trainee:Trainee", str(path), changes
            )
            workers[str(size)] = stack.enter_context(contextlib.closing(worker))
            batch = batch_sizes[str(size)] = changes.get("batch_size", 128)
            worker.ask("fit", LEAST)  # Traces; no other begins meanwhile.
            step = worker.ask("fit", LEAST).seconds
            steps = max(LEAST, round(values.seconds / step))
            if epochs:
                steps = max(LEAST, -(-size // batch))
            pieces[str(size)] = functools.partial(worker.ask, "fit", steps)
        found = interleave(pieces, rounds, warm=0)
        turns[sweep] = found.to_json()
        rows = []
        for size, worker in workers.items():
            facts, step = worker.ask("facts"), found.median(size)
            steps = pieces[size].args[1]
            row = {
                sweep: int(size),
                "milliseconds_of_a_step": found.milliseconds(size),
                "images_per_second": round(batch_sizes[size] / step),
                "n": rounds,
                "steps": steps,
                **{
                    k: facts[k]
                    for k in ("parameters", "megabytes", "environment")
                },
            }
            if epochs:
                row["seconds_of_an_epoch"] = round(step * steps, 2)
            rows.append(row)
    return rows


def save_images(data: str, folder: Path) -> list[int]:
    """Writes an `mnist.npz` for each number of training images."""
    mnist = load_mnist(data)
    most = len(mnist.train_images)
    sizes = [size * most // SWEEPS["images"][-1] for size in SWEEPS["images"]]
    for count in sizes:
        np.savez(
            folder / f"{count}.npz",
            x_train=mnist.train_images[:count],
            y_train=mnist.train_labels[:count],
            x_test=mnist.test_images[:1],
            y_test=mnist.test_labels[:1],
        )
    return sizes


def _peak(folder: Path, data: str) -> int:
    """Megabytes at most of `train.py` as it is, with fewer steps."""
    command = f"train.py --data {data} --precision float32 --steps 60 --run-dir"
    process = subprocess.Popen(
        [sys.executable, *command.split(), folder / "run"],
        cwd=harness.ROOT,
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("error: train.py failed")
    return used.ru_maxrss // 1024
