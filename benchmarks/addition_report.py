"""Tables of `docs/addition.md`, for `tables.py`, from what `addition.py` wrote
and from published figures."""

import json
from pathlib import Path

from benchmarks import formatting

DIGITS = (1, 2, 4, 15, 100)
# Whole sums right, in %, as the papers report them, by digits of a number.
PUBLISHED = {
    "DeepProbLog": {1: "97.2"},
    "NeurASP": {1: "97.3"},
    "ABL": {1: "98.1"},
    "DeepStochLog": {2: "96.4 ± 0.1"},
    "A-NeSI": {1: "97.7", 4: "92.6", 15: "75.9"},
    "DeepSoftLog": {4: "93.5", 15: "77.1"},
    "PLIA": {4: "91.8", 15: "79.0"},
    "DeepProofLog": {4: "94.0 ± 0.3", 15: "80.8 ± 1.1"},
}
OURS = {"lenet": "ours, `lenet`", "residual": "ours, `residual`"}
_MISSING = "–"


def make(names: list[str], folder: Path) -> str:
    """A part of the page: `sums`, `runs` or `commands`.

    Args:
        names: One of these names.
        folder: Where `addition.py` wrote `addition_*.json`.
    """
    [name] = names
    reports = {
        path.stem: json.loads(path.read_text())
        for path in folder.glob("addition_*.json")
    }
    order = {"lenet": 0, "residual": 1}
    in_order = sorted(
        reports.items(),
        key=lambda x: (
            order[x[1]["network"]],
            "starts" in x[0],
            x[1]["digits"],
        ),
    )
    parts = {"sums": sums, "runs": runs, "commands": commands}
    return parts[name](dict(in_order))


def sums(reports: dict[str, dict]) -> str:
    """Whole sums that are right, ours beside the published ones.

    Args:
        reports: What `addition.py` wrote, by the names of the files.
    """
    header = ["", *(f"N = {digits}" for digits in DIGITS)]
    rows = [
        [name, *(found.get(digits, _MISSING) for digits in DIGITS)]
        for name, found in PUBLISHED.items()
    ]
    for network, name in OURS.items():
        cells = [
            _cell(reports.get(f"addition_{network}_{digits}"))
            for digits in DIGITS
        ]
        rows.append([name, *cells])
    return formatting.table(header, rows)


def runs(reports: dict[str, dict]) -> str:
    """What each of our rows took, and how many of its starts failed."""
    header = [
        *("", "N", "begins with", "epochs", "sum", "digit"),
        *("P > 1/2", "failed starts", "training"),
    ]
    rows = []
    for report in reports.values():
        found, config = report["summary"], report["config"]
        seen = config["steps"] * config["batch_size"] / report["sums"][0]
        starts = {"all": "all columns", "first": "the first column"}
        rows.append(
            [
                f"`{report['network']}`",
                str(report["digits"]),
                starts[report["start"]],
                f"{seen:.0f}",
                _mean_std(found["sum"], found["n"]),
                _mean_std(found["digit"], found["n"]),
                f"{found['surely_most_probable'][0]:.1f}",
                f"{found['failed_starts']} of {found['n']}",
                formatting.duration(found["seconds"][0]),
            ]
        )
    return formatting.table(header, rows)


def commands(reports: dict[str, dict]) -> str:
    """A command for each row."""
    lines = []
    for name, report in reports.items():
        line = f"{report['command']} --seeds {report['summary']['n']}"
        if name != f"addition_{report['network']}_{report['digits']}":
            line += f" --out benchmarks/results/{name}.json"
        lines.append(line)
    return "\n".join(["```", *lines, "```"])


def _cell(report: dict | None) -> str:
    if report is None:
        return _MISSING
    found = report["summary"]
    failed = found["failed_starts"]
    return _mean_std(found["sum"], found["n"]) + (
        f" ({failed} of {found['n']} failed)" if failed else ""
    )


def _mean_std(mean_std: list[float], n: int) -> str:
    mean, std = mean_std
    return f"{mean:.1f} ± {std:.1f} ({n})" if n > 1 else f"{mean:.1f} (1)"
