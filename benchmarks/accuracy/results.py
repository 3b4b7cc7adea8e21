"""Right answers of a recipe, over seeds: the rows of docs/results.md.

    python -m benchmarks results ROW --seeds 3 [FLAGS OF train.py]

runs `python train.py FLAGS --seed S` for S = 0, 1, ..., each in a process of
its own. A stored row needs no flags. With `--keep DIR`, a run that is there
already is not repeated: a command that was interrupted goes on; one of another
recipe is refused. With `--jobs`, runs go on at once, each with its share of the
cores. With `--add`, seeds of the stored row stay, if such a machine measured
them with these versions, and only others are run.

    python -m benchmarks results --check ROW [--seeds N]

repeats seeds of a stored row, writes nothing, and says whether they agree:
where processor and versions are the same, to the last answer, else within
three standard errors. If not, the exit code is 1.

    python -m benchmarks results ROW --starts N --steps M [FLAGS OF train.py]

stops N runs after M steps, and counts how many of them diverged or learned.
"""

import argparse
import dataclasses
import json
import math
import statistics
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.accuracy.many_runs import other_recipe
from benchmarks.accuracy.many_runs import runs
from benchmarks.accuracy.many_runs import starts
from keras_mnist_sum import presets
from keras_mnist_sum.commands import cli
from keras_mnist_sum.commands import train
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import environment
from keras_mnist_sum.utils.quiet import import_tensorflow

OPTIONS = {
    "seeds": (int, "how many (default: 3; to check, 1)"),
    "jobs": (1, "runs at once"),
    "keep": (Path, "where run directories stay, and finished ones are found"),
    "add": (bool, "run only the seeds that the stored row lacks"),
    "check": (bool, "repeat a stored row"),
    "starts": (int, "runs to stop early"),
    "steps": (int, "after which to stop them; else as of train.py"),
}
SMOKE, FILE, REST = {"seeds": 1}, "{row}", True
ERRORS = 3.0  # standard errors within which other machines agree


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "name of the file in benchmarks/results/, and of the row"
    parser.add_argument("row", metavar="ROW", help=text)


def main(values: argparse.Namespace) -> int | None:
    stored, flags = harness.RESULTS / f"{values.row}.json", values.rest
    if values.check:
        flags += [f"--{x}" for x in ("starts", "steps") if vars(values)[x]]
        if flags:
            raise InputError(
                "--check has the flags of the stored row: leave out others. "
                f"Received: {' '.join(flags)}"
            )
        row = values.compare or harness.read(stored)
        harness.check_keys(row, "mean_std", "runs", "config", "environment")
        return agreement(row, values)
    if values.starts and not values.steps:
        raise InputError(
            "--starts needs --steps, after which to stop. "
            f"Received: --starts {values.starts}"
        )
    if values.steps and not values.starts:  # It is of train.py.
        flags, values.steps = [*flags, "--steps", str(values.steps)], None
    if values.starts and values.path == stored:
        values.path = harness.RESULTS / f"{values.row}_starts.json"
        values.before = None  # Not the row.
        if values.path.exists():
            values.before = harness.read(values.path)
    values.seeds = values.starts or values.seeds or 3
    if not flags and stored.exists():
        row = harness.read(stored)
        harness.check_keys(row, "command", "config")
        flags = flags_of(row)
    config = config_of(flags)
    check(values, config)
    words = ["python train.py", *flags]
    if values.starts:
        if config.teachers_sha256:
            raise InputError(
                "--starts trains without teachers: leave out --teachers. "
                f"Received: {' '.join(flags)}"
            )
        found = starts(config, values)
        words[0] = f"python -m benchmarks results {values.row}"
        words[0] += f" --starts {values.starts} --steps {values.steps}"
    else:
        there = stored_runs(values) if values.add else []
        seeds = set(range(values.seeds)) - {run["seed"] for run in there}
        more = runs(sorted(seeds), flags, config, values)
        found = summary(there + more)
    harness.save(values, found | {"command": " ".join(words)})
    return None


def differences(values: argparse.Namespace) -> list[str]:
    """None yet: `check` looks for them, when it has read the flags."""
    return []


def flags_of(report: dict[str, Any]) -> list[str]:
    """Those of train.py, with the precision that a stored row had."""
    flags, config = report["command"].split()[2:], report["config"]
    auto = presets.get(config["preset"]).config.precision == "auto"
    if auto and "--precision" not in flags:  # It may choose another here.
        flags += ["--precision", config["precision"]]
    return flags


def config_of(flags: list[str]) -> Config:
    """What flags of train.py say.

    Raises:
        InputError: If one cannot be used.
    """
    parser = cli.ArgumentParser(prog="train.py")
    train.add_arguments(parser)
    given = parser.parse_args(flags)
    for flag in ("seed", "run_dir"):
        if getattr(given, flag) is not None:
            raise InputError(
                "Each run has a seed and a directory of its own. "
                f"Received: --{flag.replace('_', '-')}"
            )
    config = cli.config_of(given, presets.get(given.preset).config)
    if given.teachers:
        from keras_mnist_sum.training import teachers

        found = teachers.find_teachers(given.teachers)
        config = teachers.with_teachers(config, found)
    return config


def check(values: argparse.Namespace, config: Config) -> None:
    """Refuses to replace what runs of a config would not measure again.

    Raises:
        InputError: If the results are of another recipe or of more seeds.
    """
    if values.before is not None:
        others = harness.fewer(values.before, values.seeds)
        steps = values.before.get("steps")
        if steps != values.steps:
            others.append(f"stopped after {steps} steps")
        others += differences_of(values.before, config)
        harness.refuse(values.path, others)


def differences_of(row: dict[str, Any], config: Config) -> list[str]:
    """In what a config differs from that of a row."""
    begun = dataclasses.replace(config_of_row(row), seed=config.seed)
    return other_recipe(begun, config, (row.get("runs") or [{}])[0])


def config_of_row(row: dict[str, Any]) -> Config:
    """That of its runs, but for their seeds."""
    harness.check_keys(row, "config")
    written = row["config"]
    if "test_time_shift" not in written:  # By the first edition, or before.
        written = {"average_shift": 0, **written}
    return Config.from_json(json.dumps(written))


def stored_runs(values: argparse.Namespace) -> list[dict[str, Any]]:
    """Those of the row that is there, as `runs` returns them.

    Raises:
        InputError: If there is none, or if others would not be like them.
    """
    row, share = values.before, environment.cores() // values.jobs
    if row is None:
        raise InputError(
            "--add needs a stored row to add to. "
            f"Received: {str(values.path)!r}, which is not there"
        )
    harness.check_keys(row, "runs", "config", "environment")
    import_tensorflow()
    facts = {"replicas": 1, **row["environment"]}
    if facts["cores"] == share and facts["device"].startswith("CPU"):
        # Each run has its share of what this process has.
        facts |= {"cores": environment.cores(), "device": environment.device()}
    if drift := environment.drift(json.dumps(facts)):
        raise InputError(
            "--add needs the machine, versions and --jobs of the stored row. "
            f"Received: {drift}"
        )
    config = json.loads(config_of_row(row).to_json())  # with later fields
    del config["data_dir"], config["seed"]
    kept = {"config": config, "environment": row["environment"]}
    return [{**run, **kept} for run in row["runs"]]


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and deviations over seeds, and all runs."""
    facts = [run.pop("environment") for run in found][-1]
    config, *others = [run.pop("config") for run in found]
    if any(other != config for other in others):
        raise InputError(
            f"Runs must differ in their seed alone. Received: {others}"
        )
    means = {
        name: _mean_std([100 * run["accuracy"][name] for run in found])
        for name in found[0]["accuracy"]
    }
    for key in ("calibration_error", "mean_absolute_error"):
        for name in found[0][key]:
            values = [run[key][name] for run in found]
            means[f"{name}_{key}"] = _mean_std(values, digits=5)
    for key in ("training_seconds", "training_seconds_with_teachers"):
        if key in found[0]:
            means[key] = _mean_std([run[key] for run in found])
    # The mean of both ends: what other images would change, not other seeds.
    intervals = {
        name: [
            round(
                100 * statistics.mean(x["interval"][name][end] for x in found),
                3,
            )
            for end in (0, 1)
        ]
        for name in found[0].get("interval", {})
    }
    return {
        "n": len(found),
        "mean_std": means,
        **({"interval_over_images": intervals} if intervals else {}),
        "config": config,
        "environment": facts,
        "runs": found,
    }


def _mean_std(values: list[float], digits: int = 3) -> list[float]:
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return [round(statistics.mean(values), digits), round(std, digits)]


def agreement(stored: dict[str, Any], values: argparse.Namespace) -> int:
    """Repeats seeds of a row; 0 if all agree with what is stored, else 1.

    Raises:
        InputError: If its flags do not give its config any more.
    """
    flags = flags_of(stored)
    config = config_of(flags)
    if others := differences_of(stored, config):
        raise InputError(
            "The flags of a stored row must still mean what they did: measure "
            f"it again, by --out. Received: {values.row!r}, {', '.join(others)}"
        )
    import_tensorflow()
    before = {run["seed"]: run for run in stored["runs"]}
    then = {"replicas": 1, **stored["environment"]}
    disagreements = 0
    for run in runs(range(values.seeds or 1), flags, config, values):
        seed = run["seed"]
        drift = environment.drift(json.dumps(then))
        exact = seed in before and not drift
        why = drift or ("" if exact else "this seed is not stored")
        how = "the same answers" if exact else f"{ERRORS:g} standard errors"
        print(f"seed {seed}: expected {how}{why and f' ({why})'}")
        for name, share in run["accuracy"].items():
            mine = 100 * share
            mean, std = stored["mean_std"][name]
            if exact:
                theirs = 100 * before[seed]["accuracy"][name]
                agrees, words = mine == theirs, f"stored {theirs:.3f}"
            else:
                error = _standard_error(mean, std, stored)
                distance = abs(mine - mean) / error
                agrees = distance <= ERRORS
                words = f"stored {mean:.3f}, {distance:.1f} standard errors"
            disagreements += not agrees
            verdict = "agrees" if agrees else "DISAGREES"
            print(f"  {name:<12}{mine:8.3f}  {words}  {verdict}")
    print("all agree" if not disagreements else f"{disagreements} disagree")
    return int(disagreements > 0)


def _standard_error(mean: float, std: float, stored: dict) -> float:
    """Of the difference between one more seed and a stored mean, in percent:
    by the deviation over seeds, or, of one seed, by that over images."""
    n, images = stored["n"], stored["runs"][0]["images"]
    if n == 1:
        std = math.sqrt(mean * (100 - mean) / images)
    return max(std, 0.01) * math.sqrt(1 + 1 / n)
