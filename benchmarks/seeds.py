"""Mean and standard deviation of a run over seeds.

    python benchmarks/seeds.py NAME --seeds 3 [FLAGS OF train.py]

Runs `python train.py FLAGS --seed S` for S = 0, 1, ..., each in a process of
its own, and writes what each `results.json` holds, the means, and the
environment to `benchmarks/results/NAME.json`.

With `--keep DIR`, a run that is already in `DIR` is not repeated: a command
that was interrupted goes on where it was.

With `--jobs J`, J runs go on at once, each with its share of the cores: more
runs in an hour, but each of them slower. The file says how many cores a run
had.
"""

import argparse
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="All other flags are passed on to train.py.",
    )
    parser.add_argument("name", help="of the file in benchmarks/results/")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="where to keep the run directories, and to find finished ones "
        "(default: nowhere)",
    )
    arguments, flags = parser.parse_known_args()
    cores = sorted(os.sched_getaffinity(0))
    if arguments.seeds < 1:
        parser.error(f"--seeds must be positive: {arguments.seeds}")
    if not 1 <= arguments.jobs <= len(cores):
        parser.error(f"--jobs must be 1 to {len(cores)}: {arguments.jobs}")
    each = len(cores) // arguments.jobs
    shares: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    for job in range(arguments.jobs):
        shares.put(cores[job * each : (job + 1) * each])

    def run(seed: int) -> dict:
        share = shares.get()
        try:
            return _run(seed, flags, share, keep / f"{arguments.name}-{seed}")
        finally:
            shares.put(share)

    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(arguments.jobs) as pool,
    ):
        keep = arguments.keep or Path(folder)
        runs = list(pool.map(run, range(arguments.seeds)))
    outputs = list(runs[0]["accuracy"])
    summary = {
        name: _mean_std([100 * run["accuracy"][name] for run in runs])
        for name in outputs
    }
    for key in ("calibration_error", "mean_absolute_error"):
        for name in runs[0][key]:
            values = [run[key][name] for run in runs]
            summary[f"{name}_{key}"] = _mean_std(values, digits=5)
    summary["training_seconds"] = _mean_std(
        [run["training_seconds"] for run in runs]
    )
    environment = [run.pop("environment") for run in runs][-1]
    config, *others = [run.pop("config") for run in runs]
    if any(other != config for other in others):
        sys.exit(f"error: the runs in {keep} differ in more than their seed")
    report = {
        "command": " ".join(["python train.py", *flags]),
        "n": len(runs),
        "mean_std": summary,
        "config": config,
        "environment": environment,
        "runs": runs,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{arguments.name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    for name, (mean, std) in summary.items():
        print(f"{name:<30}{mean:10.3f} ± {std:.3f}  (n = {len(runs)})")


def _run(seed: int, flags: list[str], cores: list[int], run_dir: Path) -> dict:
    if not (run_dir / "results.json").is_file():
        done = subprocess.run(
            [
                *(sys.executable, "train.py", *flags),
                *("--seed", str(seed), "--run-dir", str(run_dir.absolute())),
            ],
            cwd=ROOT,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        if done.returncode:
            sys.exit(done.returncode)  # train.py has said why
    results, config, environment = (
        json.loads((run_dir / f"{name}.json").read_text())
        for name in ("results", "config", "environment")
    )
    # Where this machine keeps its data is of no use to anyone else.
    del config["data_dir"], config["seed"], environment["command"]
    return {
        "seed": seed,
        **results,
        "config": config,
        "environment": environment,
    }


def _mean_std(values: list[float], digits: int = 3) -> tuple[float, float]:
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return round(statistics.mean(values), digits), round(std, digits)


if __name__ == "__main__":
    main()
