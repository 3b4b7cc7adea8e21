"""Many runs of a recipe, several at once, each in a process of its own."""

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import queue
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.workers import Worker
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import DivergedError
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import run_checks
from keras_mnist_sum.formats.run_directory import Run

LEARNED = 0.2  # of the digits are right: twice as many as by chance


def at_once(
    work: Callable[[int, list[int]], Any], seeds: Iterable[int], jobs: int
) -> list[Any]:
    """Calls `work` with a seed and with cores of its own, for each seed."""
    cores = sorted(os.sched_getaffinity(0))
    if jobs > len(cores):
        raise InputError(
            f"--jobs must be 1 to {len(cores)}. Received: --jobs {jobs}"
        )
    each = len(cores) // jobs
    shares: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    for job in range(jobs):
        shares.put(cores[job * each : (job + 1) * each])

    def run(seed: int) -> Any:
        share = shares.get()
        try:
            return work(seed, share)
        finally:
            shares.put(share)

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(run, seeds))


def other_recipe(
    begun: Config, config: Config, run: dict[str, Any]
) -> list[str]:
    """In what `config`, that flags say, differs from that of a run.

    Args:
        begun: The run's.
        config: Its epochs are steps over as many images as the run had.
        run: What it found.
    """
    epochs = config.epochs
    if begun.epochs is None and "epochs" in run:
        images = round(run["steps"] * begun.batch_size / run["epochs"])
        config = config.with_steps(images)
    others = run_checks.differences(begun, config)
    if begun.epochs and epochs and begun.epochs != epochs:
        others.append(f"epochs={begun.epochs!r}, not {epochs!r}")
    return others


def runs(
    seeds: Iterable[int],
    flags: list[str],
    config: Config,
    values: argparse.Namespace,
) -> list[dict[str, Any]]:
    """What `results.json` holds after each run, beside its `seed`, `config`
    and `environment`.

    Args:
        seeds: A run for each.
        flags: Of train.py.
        config: What they say.
        values: With `row`, `keep` and `jobs`.

    Raises:
        InputError: If a run that is there is of another recipe.
    """

    def place(seed: int) -> Run:
        return Run(keep.absolute() / f"{values.row}-{seed}")

    def check(seed: int) -> None:
        run = place(seed)
        seeded = dataclasses.replace(config, seed=seed)
        if run.is_scored and (
            others := other_recipe(
                run.read_config(), seeded, run.read_results()
            )
        ):
            raise InputError(
                "Runs of another recipe are not counted: name another folder "
                f"by --keep. Received: {str(run.path)!r}, {', '.join(others)}"
            )

    def run(seed: int, cores: list[int]) -> dict[str, Any]:
        folder = place(seed).path
        if not place(seed).is_scored:
            command = [sys.executable, "train.py", *flags, "--seed", str(seed)]
            done = subprocess.run(
                [*command, "--run-dir", str(folder)],
                cwd=harness.ROOT,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
            if done.returncode:
                sys.exit(done.returncode)  # train.py has said why.
        found, config, facts = (
            json.loads((folder / f"{name}.json").read_text())
            for name in ("results", "config", "environment")
        )
        # Where this machine keeps its files is of no use to anyone else.
        del config["data_dir"], config["seed"], facts["command"]
        for teacher in found.get("teachers", []):
            del teacher["path"]
        return {"seed": seed, **found, "config": config, "environment": facts}

    with tempfile.TemporaryDirectory() as folder:
        keep = values.keep or Path(folder)
        for seed in seeds:
            check(seed)
        return at_once(run, seeds, values.jobs)


class Start:
    """A run that is stopped early, in a process of its own."""

    def train(self, config: str, steps: int, folder: str) -> dict[str, Any]:
        import keras

        from keras_mnist_sum.training.train import train

        stop = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: setattr(
                stop.model, "stop_training", next(count) >= steps
            )
        )
        count = itertools.count(1)
        try:
            found = train(
                Config.from_json(config), folder, callbacks=[stop], verbose=0
            )
        except DivergedError:
            return {"diverged": True}
        return {"diverged": False, "accuracy": found.accuracy}


def starts(config: Config, values: argparse.Namespace) -> dict[str, Any]:
    """Begins a recipe with so many seeds, and counts what becomes of them."""

    def begin(seed: int, cores: list[int]) -> dict[str, Any]:
        text = json.dumps({**config.to_dict(), "seed": seed})
        place = "benchmarks.accuracy.many_runs:Start"
        with contextlib.closing(Worker(place, cores=cores)) as worker:
            path = f"{folder}/{seed}"
            found = worker.ask("train", text, values.steps, path)
        print(f"seed {seed}: {found}", flush=True)
        return {"seed": seed, **found}

    with tempfile.TemporaryDirectory() as folder:
        found = at_once(begin, range(values.seeds), values.jobs)
    fields = config.to_dict()
    shares = [x["accuracy"]["digit"] for x in found if not x["diverged"]]
    return {
        "n": values.seeds,
        "steps": values.steps,
        "diverged": values.seeds - len(shares),
        "learned": sum(share > LEARNED for share in shares),
        "digit_percent": [round(100 * share, 2) for share in shares],
        "config": {k: x for k, x in fields.items() if k != "data_dir"},
        "runs": found,
    }
