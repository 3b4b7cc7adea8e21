"""Ours beside the others: seconds of training until an accuracy is reached.

Each competitor trains in a process of its own, with all cores, and in turns:
one slice of its training, then the next competitor's. Between two slices all
test pairs are scored. The clock runs while a competitor trains, from its first
step on, with the tracing of that step; not while data is loaded or scored. A
run that diverges is ended. The file is written whole after each round.
docs/performance.md says what the others are; they need
`pip install -r benchmarks/requirements-peers.txt`.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.peers.competitors import COMPETITORS
from benchmarks.peers.competitors import OURS
from benchmarks.peers.competitors import work
from benchmarks.report import peers as report_of
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils import environment
from keras_mnist_sum.utils.quiet import import_tensorflow

OPTIONS = {
    "only": (str, f"some of {','.join(COMPETITORS)}; others stay in the file"),
    "seeds": (int, "runs of each competitor"),
    "data": ("tfds", "as train.py takes it"),
}
SMOKE = {"seeds": 1, "data": "sample"}
_SPAWN = multiprocessing.get_context("spawn")


def main(values: argparse.Namespace) -> None:
    names = values.only.split(",") if values.only else list(COMPETITORS)
    if unknown := set(names).difference(COMPETITORS):
        raise InputError(
            f"`--only` names some of {', '.join(COMPETITORS)}. "
            f"Received: {min(unknown)!r}"
        )
    if environment.version("torch") is None:
        raise InputError(
            "PyTorch is missing: pip install -r "
            f"benchmarks/requirements-peers.txt. Received: {sys.executable}"
        )
    with tempfile.TemporaryDirectory() as folder:
        measure(values, names, Path(folder) / "mnist.npz")


def measure(values: argparse.Namespace, names: list[str], path: Path) -> None:
    # In a process of its own: this one stays small, as its children's peak
    # memory is at least its own.
    with _SPAWN.Pool(1) as pool:
        facts = pool.apply(save_data, (values.data, path, values.smoke))
    before, entries, going = stored(values, facts), dict[str, dict](), []
    for name, competitor in COMPETITORS.items():
        if name in names:
            entries[name] = {
                "framework": competitor.framework,
                "ours": name in OURS,
                "outputs": list(competitor.outputs),
                "turns": competitor.turns,
                "command": values.report["command"] + " --smoke" * values.smoke,
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "runs": [],
            }
            seeds = range(values.seeds or competitor.seeds)
            going.append(train(name, seeds, path, entries[name], values.smoke))
        elif name in before:
            entries[name] = before[name]
    report = {**facts, "competitors": entries}
    try:
        while going:
            going = [x for x in going if next(x, False)]
            if values.path:
                text = harness.to_json(report)
                atomic_files.write_text(values.path, text)
    finally:
        for process in multiprocessing.active_children():
            process.kill()  # It may wait where no signal reaches it.
            process.join()
    print(report_of.make(report, ("summary", "starts")))


def save_data(source: str, path: Path, smoke: bool) -> dict[str, Any]:
    """Writes an `mnist.npz` for all competitors; returns the circumstances."""
    import_tensorflow()
    # The sample is sorted by digit.
    mnist, every = load_mnist(source), slice(None, None, 10 if smoke else 1)
    np.savez(
        path,
        x_train=mnist.train_images[every],
        y_train=mnist.train_labels[every],
        x_test=mnist.test_images[every],
        y_test=mnist.test_labels[every],
    )
    facts = environment.facts()
    packages = ("tensorflow", "keras", "torch", "numpy")
    return {
        **{x: facts[x] for x in ("python", "system", "processor", "cores")},
        "packages": {x: environment.version(x) for x in packages},
        "data": mnist.description,
    }


def stored(values: argparse.Namespace, facts: dict) -> dict[str, dict]:
    """The competitors in the file that some others are added to.

    Raises:
        InputError: If they were measured in other circumstances.
    """
    if not (values.only and values.before):
        return {}
    for name, fact in facts.items():
        if values.before.get(name) != fact:
            raise InputError(
                "Results of other circumstances are not added to: name another "
                f"file by --out. Received: {name}={fact!r}, where "
                f"{str(values.path)!r} has {values.before.get(name)!r}"
            )
    return values.before["competitors"]


def train(
    name: str, seeds: range, path: Path, entry: dict, smoke: bool
) -> Iterator[bool]:
    """The runs of one competitor, one after the other, which `entry` of the
    report gets; yields after each slice."""
    for seed in seeds:
        run: dict = {"seed": seed, "state": "running", "points": []}
        entry["runs"].append(run)
        connection, theirs = _SPAWN.Pipe()
        what = (theirs, name, path, seed, smoke)
        process = _SPAWN.Process(target=work, args=what, daemon=True)
        process.start()
        theirs.close()  # So that its end is noticed here.
        entry.update(connection.recv())
        while run["state"] == "running":
            try:
                connection.send("go")
                point, scores, run["peak_megabytes"], last = connection.recv()
            except (EOFError, OSError):
                run["state"] = "failed"
                print(f"WARNING: {name}, seed {seed}, has failed", flush=True)
                break
            run["points"].append(point | (scores or {}))
            if scores is None:
                run["state"] = "diverged"
            elif last:
                run["state"] = "finished"
            if run["state"] != "running":
                connection.close()  # That ends it.
                process.join()
            print(name, "seed", seed, point, scores or "diverged", flush=True)
            yield True
