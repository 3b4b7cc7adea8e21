"""Writes the tables of the README, of `docs/` and of the model card.

    python -m benchmarks.tables

Every figure comes from `benchmarks/results/*.json`, which the other benchmarks
wrote; a table stands between two comments in the text, `<!-- KIND: NAMES -->`
and `<!-- end -->`, and is replaced there.
"""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks import addition_report
from benchmarks import costs
from benchmarks import flags
from benchmarks import formatting
from benchmarks import peers_report
from benchmarks.formatting import duration
from keras_mnist_sum import presets

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "addition.md",
    ROOT / "docs" / "cost.md",
    ROOT / "docs" / "heads.md",
    ROOT / "docs" / "performance.md",
    ROOT / "docs" / "reliability.md",
    ROOT / "docs" / "results.md",
    ROOT / "keras_mnist_sum" / "pretrained" / "CARD.md",
)

_BLOCK = re.compile(
    r"(<!-- (\w+): ([\w ]+) -->\n).*?(<!-- end -->)",
    re.DOTALL,
)
_OUTPUTS = ("digit", "sum", "difference")


def fill(text: str) -> str:
    """Returns `text` with every table in it made anew.

    Raises:
        FileNotFoundError: If a table names a result that is not there.
        KeyError: If there is no such kind of table.
    """
    kinds: dict[str, Callable[[list[str]], str]] = {
        "summary": _summary,
        "table": _table,
        "commands": _commands,
        "additive": _additive,
        "peers": functools.partial(_peers, "peers"),
        "peers_xeon": functools.partial(_peers, "peers_xeon"),
        "cost": _cost,
        "measured": _measured,
        "addition": lambda names: addition_report.make(names, RESULTS),
    }

    def replace(match: re.Match) -> str:
        begin, kind, names, end = match.groups()
        return f"{begin}{kinds[kind](names.split())}\n{end}"

    return _BLOCK.sub(replace, text)


def _summary(names: list[str]) -> str:
    header = ["", "digit", "sum", "difference", "all three", "n", "training"]
    rows = []
    for name in names:
        report = _load(name)
        n = str(report["n"])
        rows.append([f"`{name}`", *_accuracies(report), n, _time(report)])
    return formatting.table(header, rows)


def _table(names: list[str]) -> str:
    header = [
        *("", "parameters", "steps x batch", "precision", "training", "n"),
        *("digit", "sum", "difference", "all three", "calibration error"),
    ]
    rows = []
    for name in names:
        report = _load(name)
        run, batch_size = report["runs"][0], report["config"]["batch_size"]
        errors = [_error(report["mean_std"], output) for output in _OUTPUTS]
        rows.append(
            [
                f"`{name}`",
                f"{run['parameters']:,}",
                f"{run['steps']:,} x {batch_size}",
                report["config"]["precision"],
                _time(report),
                str(report["n"]),
                *_accuracies(report),
                ", ".join(errors),
            ]
        )
    return formatting.table(header, rows)


def _additive(names: list[str]) -> str:
    """Right cells of a linear layer that is told the digit."""
    reports = [_load("additive")[name.replace("_", " ")] for name in names]
    rows = [
        [
            f"{int(step):,}",
            *(f"{r['right_cells_after_sgd'][step]:.1f}" for r in reports),
        ]
        for step in reports[0]["right_cells_after_sgd"]
    ]
    best = [str(report["right_cells_at_optimum"]) for report in reports]
    header = [name.replace("_", " ") for name in names]
    return formatting.table(
        ["after steps", *header], [*rows, ["optimum", *best]]
    )


def _peers(results: str, parts: list[str]) -> str:
    """Parts of what `benchmarks.peers` found, by the report's functions."""
    if not (RESULTS / f"{results}.json").is_file():
        return "Not measured yet."
    makers = {
        "aims": lambda report: "\n".join(peers_report.aims(report)),
        "summary": peers_report.summary,
        "marks": peers_report.marks,
        "costs": peers_report.costs,
        "conditions": peers_report.conditions,
    }
    report = _load(results)
    return "\n\n".join(makers[part](report) for part in parts)


def _cost(names: list[str]) -> str:
    [name] = names
    results, table = costs.TABLES[name]
    if not (RESULTS / f"{results}.json").is_file():
        return "Not measured yet."
    return formatting.table(*table(_load(results)))


def _measured(names: list[str]) -> str:
    [name] = names
    if not (RESULTS / f"{name}.json").is_file():
        return f"`python -m benchmarks.{name}`"
    return costs.circumstances(_load(name))


def _time(report: dict) -> str:
    if "time_alone" in report:  # It ran beside other work; this was estimated.
        return report["time_alone"]
    seconds = report["mean_std"]["training_seconds"][0]
    cores = report["environment"]["cores"]
    return f"{duration(seconds)}, {cores} core{'s' if cores > 1 else ''}"


def _accuracies(report: dict) -> list[str]:
    return [
        _mean_std(report["mean_std"][output], report["n"])
        for output in (*_OUTPUTS, "all")
    ]


def _error(means: dict, output: str) -> str:
    if f"{output}_calibration_error" in means:
        return f"{100 * means[f'{output}_calibration_error'][0]:.2f}"
    return f"(MAE {means[f'{output}_mean_absolute_error'][0]:.3f})"


def _mean_std(mean_std: list[float], n: int) -> str:
    mean, std = mean_std
    return f"{mean:.2f} ± {std:.2f}" if n > 1 else f"{mean:.2f}"


def _commands(names: list[str]) -> str:
    lines = []
    for name in names:
        report = _load(name)
        flags = report["command"].removeprefix("python train.py").strip()
        command = f"python benchmarks/seeds.py {name} --seeds {report['n']}"
        if report["environment"]["cores"] == 1:
            command += " --jobs 2"  # on two cores, one for each run
        config = report["config"]
        # What `auto` chose there, it may not choose here.
        auto = presets.get(config["preset"]).config.precision == "auto"
        if auto and "--precision" not in flags:
            flags += f" --precision {config['precision']}"
        lines.append(f"{command} {flags.strip()}".strip())
    return "\n".join(["```", *lines, "```"])


def _load(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())


def main() -> None:
    flags.take_none(__doc__)
    for page in PAGES:
        page.write_text(fill(page.read_text()))


if __name__ == "__main__":
    main()
