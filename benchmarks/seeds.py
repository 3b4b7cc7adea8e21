"""Mean and standard deviation of a run over seeds.

    python benchmarks/seeds.py NAME --seeds 3 [FLAGS OF train.py]

Runs `python train.py FLAGS --seed S` for S = 0, 1, ..., each in a process of
its own, and writes what each `results.json` holds, the means, and the
environment to `benchmarks/results/NAME.json`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
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
    arguments, flags = parser.parse_known_args()
    if arguments.seeds < 1:
        parser.error(f"--seeds must be positive: {arguments.seeds}")
    runs, environment = [], {}
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            run_dir = Path(folder, "run")
            command = [
                *(sys.executable, "train.py", *flags),
                *("--seed", str(seed), "--run-dir", str(run_dir)),
            ]
            start = time.monotonic()
            subprocess.run(command, cwd=ROOT, check=True)
            seconds = time.monotonic() - start
            results = json.loads((run_dir / "results.json").read_text())
            runs.append({"seed": seed, "total_seconds": seconds, **results})
            text = (run_dir / "environment.json").read_text()
            environment = json.loads(text)
    outputs = list(runs[0]["accuracy"])
    summary = {
        name: _mean_std([100 * run["accuracy"][name] for run in runs])
        for name in outputs
    }
    for name in ("training_seconds", "total_seconds"):
        summary[name] = _mean_std([run[name] for run in runs])
    environment.pop("command")
    report = {
        "command": " ".join(["python train.py", *flags]),
        "n": len(runs),
        "mean_std": summary,
        "environment": environment,
        "runs": runs,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{arguments.name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    for name, (mean, std) in summary.items():
        print(f"{name:<18}{mean:8.3f} ± {std:.3f}  (n = {len(runs)})")


def _mean_std(values: list[float]) -> tuple[float, float]:
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return round(statistics.mean(values), 3), round(std, 3)


if __name__ == "__main__":
    main()
