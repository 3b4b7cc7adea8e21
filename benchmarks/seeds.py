"""Mean and standard deviation of a run over seeds.

    python benchmarks/seeds.py NAME --seeds 3 [FLAGS OF train.py]

Runs `python train.py FLAGS --seed S` for S = 0, 1, ..., each in a process of
its own, and writes what each `results.json` holds, the means, and the
environment to `benchmarks/results/NAME.json`.

Results of another recipe or of more seeds are not replaced: `--out FILE` writes
elsewhere. What is printed is compared with what stands there.

With `--keep DIR`, a run that is already in `DIR` is not repeated: a command
that was interrupted goes on where it was.

With `--jobs J`, J runs go on at once, each with its share of the cores: more
runs in an hour, but each of them slower. The file says how many cores a run
had.
"""

import argparse
import dataclasses
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
sys.path.insert(0, str(ROOT))  # This is run as a script.

from keras_mnist_sum import presets  # noqa: E402
from keras_mnist_sum.commands import cli  # noqa: E402
from keras_mnist_sum.commands import train  # noqa: E402
from keras_mnist_sum.config import Config  # noqa: E402
from keras_mnist_sum.errors import InputError  # noqa: E402
from keras_mnist_sum.formats.run_checks import differences  # noqa: E402
from keras_mnist_sum.utils import atomic_files  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    parser = cli.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="All other flags are passed on to train.py.",
        allow_abbrev=False,
    )
    parser.add_argument("name", help="of the file in benchmarks/results/")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="what to write (default: benchmarks/results/NAME.json)",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="where to keep the run directories, and to find finished ones "
        "(default: nowhere)",
    )
    values, flags = parser.parse_known_args(arguments)
    return cli.run(lambda: measure(values, flags))


def measure(arguments: argparse.Namespace, flags: list[str]) -> None:
    path = arguments.out or RESULTS / f"{arguments.name}.json"
    check(path, arguments.seeds, flags)
    stored = RESULTS / f"{arguments.name}.json"
    before = _read(stored) if stored.is_file() else None
    cores = sorted(os.sched_getaffinity(0))
    if not 1 <= arguments.jobs <= len(cores):
        raise InputError(
            f"--jobs must be 1 to {len(cores)}. "
            f"Received: --jobs {arguments.jobs}"
        )
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
        raise InputError(
            f"Runs must differ in their seed alone. Received: {str(keep)!r}"
        )
    report = {
        "command": " ".join(["python train.py", *flags]),
        "n": len(runs),
        "mean_std": summary,
        "config": config,
        "environment": environment,
        "runs": runs,
    }
    atomic_files.write_text(path, json.dumps(report, indent=2) + "\n")
    print("\n".join(compared(report, before)))


def check(path: Path, seeds: int, flags: list[str]) -> None:
    """Refuses to replace what these runs would not measure again.

    Raises:
        InputError: If `path` holds results of another recipe or of more seeds,
            or cannot be written; or a flag cannot be used.
    """
    if seeds < 1:
        raise InputError(f"--seeds must be positive. Received: --seeds {seeds}")
    atomic_files.check_file(path)
    parser = cli.ArgumentParser(prog="train.py")
    train.add_arguments(parser)
    values = parser.parse_args(flags)
    for flag in ("seed", "run_dir"):
        if getattr(values, flag) is not None:
            raise InputError(
                "Each run has a seed and a directory of its own. "
                f"Received: --{flag.replace('_', '-')}"
            )
    config = cli.config_of(values, presets.get(values.preset).config)
    if not path.is_file():
        return
    stored = _read(path)
    written = stored["config"]
    if "test_time_shift" not in written:  # By the first edition, or before.
        written = {"average_shift": 0, **written}
    begun = Config.from_json(json.dumps(written))
    begun = dataclasses.replace(begun, seed=config.seed)
    others = differences(begun, config)
    if stored["n"] > seeds:
        others.insert(0, f"{stored['n']} seeds, not {seeds}")
    if others:
        raise InputError(
            "Results of other runs are not replaced: name another file by "
            f"--out. Received: {str(path)!r}, of {', '.join(others)}"
        )


def compared(report: dict, before: dict | None) -> list[str]:
    """Lines of a table: means, and how far they are from those before."""
    lines = []
    for name, (mean, std) in report["mean_std"].items():
        line = f"{name:<30}{mean:10.3f} ± {std:.3f}  (n = {report['n']})"
        if before and name in before["mean_std"]:
            old, spread = before["mean_std"][name]
            line += f"  {mean - old:+.3f} to {old:.3f} ± {spread:.3f}"
            line += f" (n = {before['n']})"
        lines.append(line)
    return lines


def _read(path: Path) -> dict:
    """Results that were written before."""
    return json.loads(atomic_files.read_text(path))


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
    sys.exit(main())
