"""How long from a command to what it is for.

Starts Python with nothing, the import of the package, every command with
`--help` and two trainings, each of them once a round; a training is killed when
it has done its first step. In two more processes a round, MNIST is read from
the prepared set of tensorflow-datasets, once without what an earlier process
kept of it and once with that. Full MNIST must be prepared.
"""

import argparse
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import harness
from benchmarks.turns import interleave
from keras_mnist_sum.__main__ import COMMANDS
from keras_mnist_sum.distribution import heartbeat

OPTIONS = {"rounds": (7, "starts of everything")}
SMOKE = {"rounds": 1}
_LOAD = """
from keras_mnist_sum.utils.quiet import import_tensorflow
import_tensorflow()
import time
from keras_mnist_sum.data.sources import load_mnist
start = time.perf_counter()
load_mnist("tfds")
print(time.perf_counter() - start)
"""


def main(values: argparse.Namespace) -> None:
    call = functools.partial
    starts: dict[str, Callable] = {
        "nothing": call(harness.python, "-c", "pass"),
        "`import keras_mnist_sum`": call(
            harness.python, "-c", "import keras_mnist_sum"
        ),
    }
    for command in commands():
        name = f"`python {' '.join(command)} --help`"
        starts[name] = call(harness.python, *command, "--help")
    for preset in ("residual", "fast"):
        name = f"`python train.py --preset {preset}`, to the first step"
        starts[name] = call(until_first_step, preset)
    with tempfile.TemporaryDirectory() as folder:
        starts["MNIST, decoded"] = call(_load, folder, anew=True)
        starts["MNIST, kept"] = call(_load, folder, anew=False)
        turns = interleave(starts, values.rounds)
    found = {
        name: {
            "seconds": round(turns.median(name), 3),
            "seconds_of_rounds": [round(x, 3) for x in turns.seconds(name)],
        }
        for name in starts
    }
    harness.save(values, {"starts": found, "turns": turns.to_json()})


def commands() -> list[list[str]]:
    """Every command of the project, as arguments of Python."""
    package = ["-m", "keras_mnist_sum"]
    others = [[*package, name] for name in COMMANDS]
    return [["train.py"], ["evaluate.py"], package, *others]


def until_first_step(preset: str) -> float:
    """Seconds until `train.py` tells its launcher, us, of the first step."""
    with tempfile.TemporaryDirectory() as folder:
        heart = Path(folder, "heart")
        heart.touch()
        flags = f"--preset {preset} --data tfds --run-dir {folder}/run"
        still, start = heart.stat().st_mtime_ns, time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "train.py", *flags.split()],
            cwd=harness.ROOT,
            stdout=subprocess.DEVNULL,
            env={
                **os.environ,
                heartbeat.HEARTBEAT: str(heart),
                heartbeat.LAUNCHER: str(os.getpid()),
            },
        )
        while heart.stat().st_mtime_ns == still:
            if process.poll() is not None:
                raise SystemExit("error: train.py ended before its first step")
            time.sleep(0.005)
        elapsed = time.perf_counter() - start
        process.kill()
        process.wait()
    return elapsed


def _load(folder: str, anew: bool) -> float:
    """Seconds for reading MNIST, with what was kept in a folder."""
    if anew:
        shutil.rmtree(folder)
    env = {**os.environ, "XDG_CACHE_HOME": folder}
    return float(harness.python("-c", _LOAD, env=env))
