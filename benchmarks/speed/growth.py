"""What training costs as the model and the batch grow.

Trains the default preset in float32 with other widths and other batch sizes,
each in a process of its own, which says how much memory it used at most. Pieces
of training take turns, and their first steps are not timed. Before that, one
run of `train.py` tells the peak memory of the default run, which does not
depend on the number of steps.
"""

import argparse
import contextlib
import functools
import resource
import tempfile
from typing import Any

from benchmarks import harness
from benchmarks.turns import interleave
from benchmarks.workers import Worker

SWEEPS = {
    "width": (16, 32, 64, 128),
    "batch_size": (32, 64, 128, 256, 512, 1024),
}
FLOAT32 = {"precision": "float32", "validation_fraction": 0.0}
STAGES = {
    "TensorFlow": "Python, TensorFlow and Keras",
    "images": "and MNIST",
    "model": "and the model and its optimizer",
    "training": "and training",
}
LEAST = 12  # steps of a piece
OPTIONS = {
    "rounds": (7, "pieces of each size"),
    "sizes": (6, "of each kind, at most"),
    "seconds": (1.5, "that a piece takes"),
    "data": ("tfds", "as train.py takes it"),
}
SMOKE = {"rounds": 1, "sizes": 2, "seconds": 0.01, "data": "sample"}


def main(values: argparse.Namespace) -> None:
    flags = f"--data {values.data} --precision float32 --steps 60 --run-dir"
    with tempfile.TemporaryDirectory() as folder:
        harness.python("train.py", *flags.split(), f"{folder}/run")
    # Of all processes that have ended, of which there is no other yet.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    found: dict[str, Any] = {"turns": {}}
    for sweep in SWEEPS:
        measure(sweep, values, found)
    [default] = [x["megabytes"] for x in found["width"] if x["width"] == 32]
    found["memory"] = {
        **{text: {"megabytes": default[x]} for x, text in STAGES.items()},
        "a whole run of `train.py`": {"megabytes": peak},
    }
    harness.save(values, found)


def measure(sweep: str, values: argparse.Namespace, found: dict) -> None:
    """A row for each size of a sweep, whose pieces take turns."""
    with contextlib.ExitStack() as stack:
        workers, pieces = {}, {}
        for size in SWEEPS[sweep][: values.sizes]:
            what = values.data, {**FLOAT32, sweep: size}
            worker = workers[size] = stack.enter_context(
                Worker("benchmarks.speed.trainee:Trainee", *what)
            )
            worker.ask("fit", LEAST)  # Traces; no other begins meanwhile.
            step = worker.ask("fit", LEAST).seconds
            steps = max(LEAST, round(values.seconds / step))
            pieces[str(size)] = functools.partial(worker.ask, "fit", steps)
        turns = interleave(pieces, values.rounds, warm=0)
        found["turns"][sweep] = turns.to_json()
        found[sweep] = []
        for size, worker in workers.items():
            facts, step = worker.ask("facts"), turns.median(str(size))
            found["environment"] = facts["environment"]
            batch = size if sweep == "batch_size" else 128
            found[sweep].append(
                {
                    sweep: size,
                    "milliseconds_of_a_step": turns.milliseconds(str(size)),
                    "images_per_second": round(batch / step),
                    **{x: facts[x] for x in ("parameters", "megabytes")},
                }
            )
