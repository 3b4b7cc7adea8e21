"""Ours beside the others: seconds of training until an accuracy is reached.

Each competitor trains in a process of its own, with all cores, and in turns:
one slice of its training, then the next competitor's. Between two slices all
test pairs are scored. The clock runs while a competitor trains, from its first
step on, with the tracing of that step; not while data is loaded or scored. A
run that goes on for longer than the budget is ended, and one that diverges is
tried again with another seed, twice at most. The file is written whole after
each round. docs/performance.md says what the others are; they need
`pip install -r benchmarks/requirements-peers.txt`.
"""

import argparse
import importlib.util
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.peers.competitors import COMPETITORS
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
    "budget": (60.0, "minutes of a run, after which its slice is its last"),
    "data": ("tfds", "as train.py takes it"),
}
SMOKE = {"seeds": 1, "data": "sample"}
_ATTEMPTS = 3  # A run that diverges is tried again with another seed.
_SAME = ("python", "packages", "system", "processor", "cores", "data")


def main(values: argparse.Namespace) -> None:
    names = values.only.split(",") if values.only else list(COMPETITORS)
    for name in names:
        if name not in COMPETITORS:
            raise InputError(
                f"`--only` names some of {', '.join(COMPETITORS)}. "
                f"Received: {name!r}"
            )
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            "PyTorch is missing: pip install -r "
            f"benchmarks/requirements-peers.txt. Received: {sys.executable}"
        )
    with tempfile.TemporaryDirectory() as folder:
        measure(values, names, Path(folder) / "mnist.npz")


def measure(values: argparse.Namespace, names: list[str], path: Path) -> None:
    # In a process of its own: this one stays small, as its children's peak
    # memory is at least its own.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        facts = pool.apply(save_data, (values.data, path, values.smoke))
    lanes = {
        name: Lane(name, values.seeds or x.seeds, path, values.smoke)
        for name, x in COMPETITORS.items()
        if name in names
    }
    before = values.before or {"competitors": {}}
    harness.check_keys(before, "competitors")
    counts = {name: lane.count for name, lane in lanes.items()}
    others = others_in(before, facts, counts, values.smoke)
    harness.refuse(values.path, others)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for lane in lanes.values():
        command = values.report["command"] + " --smoke" * values.smoke
        lane.report.update(command=command, time=now)
    reports = {name: lane.report for name, lane in lanes.items()}
    if values.only:
        reports = before["competitors"] | reports
    reports = {x: reports[x] for x in COMPETITORS if x in reports}
    report = {**facts, "competitors": reports}
    going = list(lanes.values())
    try:
        while going:
            going = [x for x in going if x.turn(60 * values.budget)]
            if values.path:
                text = harness.to_json(report)
                atomic_files.write_text(values.path, text)
    finally:
        for lane in lanes.values():
            if lane.process:  # It may wait where no signal reaches it.
                lane.process.kill()
    print("\n".join(["", *report_of.aims(report)]))


def differences(values: argparse.Namespace) -> list[str]:
    """None yet: `measure` looks for them, when it knows the circumstances."""
    return []


def others_in(
    before: dict, facts: dict, counts: dict[str, int], smoke: bool
) -> list[str]:
    """In what results differ from those to be measured: the machine, versions
    or data, more runs of a competitor, or that they are no try."""
    others = [
        f"of {name} {before[name]!r}, not {facts[name]!r}"
        for name in facts
        if name in before and before[name] != facts[name]
    ]
    for name, count in counts.items():
        entry = before["competitors"].get(name, {"runs": [], "command": ""})
        there = len(report_of.done(entry))
        others += harness.fewer({"n": there}, count)
        if there and smoke and "--smoke" not in entry["command"]:
            others.append(f"of {entry['command']!r}, no try")
    return others


def save_data(source: str, path: Path, smoke: bool) -> dict[str, Any]:
    """Writes an `mnist.npz` for all competitors; returns the circumstances."""
    import_tensorflow()
    mnist = load_mnist(source)
    # The sample is sorted by digit.
    every = slice(None, None, 10 if smoke else 1)
    np.savez(
        path,
        x_train=mnist.train_images[every],
        y_train=mnist.train_labels[every],
        x_test=mnist.test_images[every],
        y_test=mnist.test_labels[every],
    )
    facts = environment.facts()
    packages = ("tensorflow", "keras", "torch", "numpy")
    facts["packages"] = {x: environment.version(x) for x in packages}
    facts["data"] = mnist.description
    return {name: facts[name] for name in _SAME}


class Lane:
    """The runs of one competitor, one after the other."""

    def __init__(self, name: str, seeds: int, path: Path, smoke: bool):
        self.name, self.path, self.smoke = name, path, smoke
        self.count, self.seeds = seeds, list(range(seeds))
        self.process: Any = None
        self.report: dict = {
            "framework": COMPETITORS[name].framework,
            "ours": COMPETITORS[name].ours,
            "outputs": list(COMPETITORS[name].outputs),
            "runs": [],
        }

    def turn(self, budget: float) -> bool:
        """Trains a slice; returns whether anything is left to do.

        Args:
            budget: Seconds of training after which a run is ended.
        """
        try:
            if self.process is None:
                self._start()
            self.connection.send("go")
            point = self.connection.recv()
        except (EOFError, OSError):
            run = self.report["runs"][-1]
            run["state"] = "failed"
            print(f"WARNING: {self.name}, seed {run['seed']}, has failed")
            self.process = None
            return bool(self.seeds)
        last, scores = point.pop("last"), point.pop("scores")
        run = self.report["runs"][-1]
        run["peak_megabytes"] = point.pop("peak_megabytes")
        run["points"].append(point | (scores or {}))
        if scores is None:
            run["state"] = "diverged"
            if run["seed"] + self.count < _ATTEMPTS * self.count:
                self.seeds.append(run["seed"] + self.count)
        elif last:
            run["state"] = "finished"
        elif point["seconds"] >= budget:
            run["state"] = "stopped by the budget"
        if run["state"] != "running":
            self.connection.send("end")
            self.process.join()
            self.process = None
        said = {k: f"{k} {x:6.2f}" for k, x in (scores or {}).items()}
        print(
            f"{self.name:<24} seed {run['seed']}  "
            f"step {point['step']:>6,}  {point['seconds']:8.1f} s  ",
            "  ".join(said.values()) or "diverged",
            flush=True,
        )
        return self.process is not None or bool(self.seeds)

    def _start(self) -> None:
        seed = self.seeds.pop(0)
        self.report["runs"].append(
            {"seed": seed, "state": "running", "points": []}
        )
        spawn = multiprocessing.get_context("spawn")
        self.connection, theirs = spawn.Pipe()
        self.process = spawn.Process(
            target=work,
            args=(theirs, self.name, self.path, seed, self.smoke),
            daemon=True,
        )
        self.process.start()
        theirs.close()  # So that its end is noticed here.
        self.report.update(self.connection.recv())
