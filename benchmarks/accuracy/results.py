"""Right answers of a recipe, over seeds: the rows of docs/results.md.

    python -m benchmarks results ROW --seeds 3 [FLAGS OF train.py]

runs `python train.py FLAGS --seed S` for S = 0, 1, ..., each in a process of
its own. A stored row needs no flags, and only seeds that it lacks are run: a
command that was interrupted goes on. To measure a row again, name another file
by `--out`. With `--jobs`, runs go on at once, each with its share of the cores.

    python -m benchmarks results ROW --check [--seeds N]

repeats seeds of a stored row, writes nothing, and says whether they agree:
where processor and versions are the same, to the last answer, else within
three standard errors. If not, the exit code is 1.
"""

import argparse
import functools
import json
import math
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import harness
from keras_mnist_sum.errors import InputError

OPTIONS = {
    "seeds": (3, "how many"),
    "jobs": (1, "runs at once"),
    "check": (bool, "repeat a stored row"),
}
SMOKE, FILE, REST = {"seeds": 1}, "{row}", True
ERRORS = 3.0  # standard errors within which other machines agree
_ALIKE = ("python", "packages", "processor", "cores", "device")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "name of the file in benchmarks/results/, and of the row"
    parser.add_argument("row", metavar="ROW", help=text)


def main(values: argparse.Namespace) -> int:
    row = values.before or {}
    flags = values.rest or row.get("flags", [])
    if values.check:
        return agreement(values.compare or row, flags, values)
    there = harness.runs_before(values, flags=flags)
    row = {x: row[x] for x in ("config", "environment") if x in row}
    seeds = set(range(values.seeds)) - {run["seed"] for run in there}
    words = f"python -m benchmarks results {values.row} --seeds {values.seeds}"
    jobs = [f"--jobs {values.jobs}"] * (values.jobs > 1)
    row |= {"command": " ".join([words, *jobs, *flags]), "flags": flags}
    for run in runs(sorted(seeds), flags, values.jobs):
        config, facts = run.pop("config"), run.pop("environment")
        row = {"config": config, "environment": facts} | row
        others = _changes(row["config"], config)
        if others := others or _changes(row["environment"], facts, _ALIKE):
            raise InputError(
                "Runs must differ in their seed alone: name another file by "
                f"--out. Received: seed {run['seed']} with {others}"
            )
        there = sorted([*there, run], key=lambda run: run["seed"])
        harness.save(
            values, row | summary(there), show=len(there) == values.seeds
        )
    return 0


def runs(
    seeds: Iterable[int], flags: list[str], jobs: int
) -> Iterator[dict[str, Any]]:
    """What `results.json` holds after each run, with its `seed`, `config` and
    `environment`."""
    with tempfile.TemporaryDirectory() as folder:
        train = functools.partial(_train, Path(folder), flags)
        yield from at_once(train, seeds, jobs)


def at_once(work: Callable, seeds: Iterable[int], jobs: int) -> Iterator[Any]:
    """Calls `work` with each seed, `jobs` at once, each on cores of its own."""
    cores = sorted(os.sched_getaffinity(0))
    if jobs > len(cores):
        raise InputError(
            f"--jobs must be 1 to {len(cores)}. Received: --jobs {jobs}"
        )
    shares = [cores[job::jobs] for job in range(jobs)]

    def take_cores() -> None:  # of a thread, and of the processes it starts
        os.sched_setaffinity(0, shares.pop())

    with ThreadPoolExecutor(jobs, initializer=take_cores) as pool:
        yield from pool.map(work, seeds)


def _train(folder: Path, flags: list[str], seed: int) -> dict[str, Any]:
    place = folder / str(seed)
    own = ["--seed", seed, "--run-dir", place]
    try:
        harness.python("train.py", *flags, *own, stdout=None)
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from None  # train.py has said why.
    return read_run(place)


def read_run(place: Path) -> dict[str, Any]:
    """As `runs` has it, of a finished run."""
    found, config, facts = (
        json.loads((place / f"{name}.json").read_text())
        for name in ("results", "config", "environment")
    )
    # Where this machine keeps its files is of no use to anyone else.
    seed = config.pop("seed")
    del config["data_dir"], facts["command"]
    for teacher in found.get("teachers", []):
        del teacher["path"]
    return {"seed": seed, **found, "config": config, "environment": facts}


def _changes(then: dict, now: dict, names: Iterable[str] = ()) -> str:
    """What is another now, in words; empty, if nothing is."""
    return ", ".join(
        f"{name} {now.get(name)!r}, not {then.get(name)!r}"
        for name in names or then.keys() | now.keys()
        if now.get(name) != then.get(name)
    )


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and deviations over seeds, and all runs."""
    means = {
        name: mean_std([100 * run["accuracy"][name] for run in found])
        for name in found[0]["accuracy"]
    }
    for key in ("calibration_error", "mean_absolute_error"):
        for name in found[0][key]:
            values = [run[key][name] for run in found]
            means[f"{name}_{key}"] = mean_std(values, digits=5)
    for key in ("training_seconds", "training_seconds_with_teachers"):
        if key in found[0]:
            means[key] = mean_std([run[key] for run in found])
    # The mean of both ends: what other images would change, not other seeds.
    intervals = {
        name: [
            round(100 * statistics.mean(ends), 3)
            for ends in zip(*(x["interval"][name] for x in found), strict=True)
        ]
        for name in found[0].get("interval", {})
    }
    return {
        "n": len(found),
        "mean_std": means,
        **({"interval_over_images": intervals} if intervals else {}),
        "runs": found,
    }


def mean_std(values: list[float], digits: int = 3) -> list[float]:
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return [round(statistics.mean(values), digits), round(std, digits)]


def agreement(
    row: dict[str, Any], flags: list[str], values: argparse.Namespace
) -> int:
    """Repeats seeds of a row; 0 if all agree with what is stored, else 1.

    Raises:
        InputError: If there is no such row, or its flags mean something else.
    """
    if flags != row.get("flags"):
        raise InputError(
            "--check repeats a stored row, with its flags. Received: "
            f"{values.row!r} {' '.join(flags)}".rstrip()
        )
    before = {run["seed"]: run for run in row["runs"]}
    disagreements = 0
    for run in runs(range(values.seeds), flags, values.jobs):
        seed = run["seed"]
        if others := _changes(row["config"], run["config"]):
            raise InputError(
                "The flags of a stored row must still mean what they did: "
                f"measure it again, by --out. Received: {values.row}, {others}"
            )
        why = _changes(row["environment"], run["environment"], _ALIKE)
        exact = seed in before and not why
        how = "the same answers" if exact else f"{ERRORS:g} standard errors"
        print(f"seed {seed}: expected {how}{why and f' ({why})'}")
        for name, share in run["accuracy"].items():
            mine = 100 * share
            mean, std = row["mean_std"][name]
            if exact:
                theirs = 100 * before[seed]["accuracy"][name]
                agrees, words = mine == theirs, f"stored {theirs:.3f}"
            else:
                error = _standard_error(mean, std, row)
                distance = abs(mine - mean) / error
                agrees = distance <= ERRORS
                words = f"stored {mean:.3f}, {distance:.1f} standard errors"
            disagreements += not agrees
            verdict = "agrees" if agrees else "DISAGREES"
            print(f"  {name:<12}{mine:8.3f}  {words}  {verdict}")
    print("all agree" if not disagreements else f"{disagreements} disagree")
    return int(disagreements > 0)


def _standard_error(mean: float, std: float, row: dict) -> float:
    """Of the difference between one more seed and a stored mean, in percent:
    by the deviation over seeds, or, of one seed, by that over images."""
    n, images = row["n"], row["runs"][0]["images"]
    if n == 1:
        std = math.sqrt(mean * (100 - mean) / images)
    return max(std, 0.01) * math.sqrt(1 + 1 / n)
