"""Ours beside the others: seconds of training until an accuracy is reached.

    python -m benchmarks.peers [--only NAMES] [--seeds N] [--budget MINUTES]
    python -m benchmarks.peers --plot

Each competitor trains in a process of its own, with all cores, and in turns:
one slice of its training, then the next competitor's. Between two slices all
test pairs are scored. The clock runs while a competitor trains, from its first
step on, with the tracing of that step; not while data is loaded or scored. A
run that goes on for longer than the budget is ended, and one that diverges is
tried again with another seed, twice at most.
`benchmarks/results/peers.json` is written whole after each round; `--only`
leaves the results of the others in it. `--plot` trains nothing: it draws
`docs/peers.png` from that file and prints how often ours is faster.
docs/performance.md says what the others are; they need
`pip install -r benchmarks/requirements-peers.txt`.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers_report
from benchmarks.peers_worker import COMPETITORS
from benchmarks.peers_worker import work
from keras_mnist_sum.commands import cli
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils.quiet import import_tensorflow

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "peers.json"
PICTURE = ROOT / "docs" / "peers.png"

_ATTEMPTS = 3  # A run that diverges is tried again with another seed.


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
        print(
            f"{self.name:<24} seed {run['seed']}  "
            f"step {point['step']:>6,}  {point['seconds']:8.1f} s  ",
            "diverged"
            if scores is None
            else "  ".join(f"{name} {x:6.2f}" for name, x in scores.items()),
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


def save_data(source: str, path: Path, smoke: bool) -> str:
    """Writes an `mnist.npz` for all competitors; returns a description."""
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
    return mnist.description


def facts() -> dict:
    """The versions and the machine."""
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    packages = ("tensorflow", "keras", "torch", "numpy")
    return {
        "python": platform.python_version(),
        "packages": {x: importlib.metadata.version(x) for x in packages},
        "system": platform.platform(),
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
    }


def measured_before(path: Path, environment: dict) -> dict[str, dict]:
    """The competitors in a file of results, if there is one.

    Raises:
        InputError: If they had another machine, other versions or other data.
    """
    if not path.is_file():
        return {}
    report = json.loads(atomic_files.read_text(path))
    for name, value in environment.items():
        if report[name] != value:
            raise InputError(
                f"`--only` adds to results of the same {name}: give another "
                f"--out. Received: {report[name]!r} in {str(path)!r}, "
                f"{value!r} here"
            )
    return report["competitors"]


def measure(options: argparse.Namespace, flags: list[str]) -> None:
    names = options.only.split(",") if options.only else list(COMPETITORS)
    for name in names:
        if name not in COMPETITORS:
            raise InputError(
                f"`--only` names some of {', '.join(COMPETITORS)}. "
                f"Received: {name!r}"
            )
    if options.seeds is not None and options.seeds < 1:
        raise InputError(
            f"`--seeds` must be positive. Received: {options.seeds}"
        )
    if not options.budget > 0:
        raise InputError(
            f"`--budget` must be positive. Received: {options.budget}"
        )
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            "PyTorch is missing: pip install -r "
            f"benchmarks/requirements-peers.txt. Received: {sys.executable}"
        )
    budget = 60 * options.budget  # seconds
    command = " ".join(["python -m benchmarks.peers", *flags])
    environment = facts()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mnist.npz"
        # In a process of its own: this one stays small, as its children's
        # peak memory is at least its own.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            arguments = (options.data, path, options.smoke)
            description = pool.apply(save_data, arguments)
        lanes = {
            name: Lane(
                name,
                options.seeds or (1 if options.smoke else x.seeds),
                path,
                options.smoke,
            )
            for name, x in COMPETITORS.items()
            if name in names
        }
        environment["data"] = description
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for lane in lanes.values():
            lane.report.update(command=command, time=started)
        reports = {name: lane.report for name, lane in lanes.items()}
        if options.only:
            reports = measured_before(options.out, environment) | reports
        report = {
            **environment,
            "competitors": {x: reports[x] for x in COMPETITORS if x in reports},
        }
        going = list(lanes.values())
        try:
            while going:
                going = [lane for lane in going if lane.turn(budget)]
                atomic_files.write_text(
                    options.out, peers_report.to_json(report)
                )
        finally:
            for lane in lanes.values():
                if lane.process:  # It may wait where no signal reaches it.
                    lane.process.kill()
    print("\n".join(["", *peers_report.aims(report)]))


def main(arguments: list[str] | None = None) -> int:
    flags = sys.argv[1:] if arguments is None else arguments
    parser = cli.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", metavar="NAMES", help=f"some of {','.join(COMPETITORS)}")
    add("--seeds", type=int, metavar="N", help="runs of each competitor")
    add(
        "--budget",
        type=float,
        default=60,
        metavar="MINUTES",
        help="training time of a run, after which it is ended at the end of "
        "its slice (default: %(default)s)",
    )
    add("--data", default="tfds", help="as in train.py (default: %(default)s)")
    add(
        "--out",
        type=Path,
        default=RESULTS,
        metavar="FILE",
        help="where results are written, and read by --plot",
    )
    add("--picture", type=Path, default=PICTURE, metavar="FILE")
    add("--plot", action="store_true", help="draw what --out holds")
    add("--smoke", action="store_true", help="a few steps, to try the program")
    options = parser.parse_args(flags)

    def command() -> None:
        if not options.plot:
            return measure(options, flags)
        report = json.loads(atomic_files.read_text(options.out))
        from benchmarks import peers_plot

        peers_plot.draw(report, options.picture)
        print("\n".join(peers_report.aims(report)))

    return cli.run(command)


if __name__ == "__main__":
    sys.exit(main())
