"""Tables of docs/addition.md: our results, beside published ones."""

from pathlib import Path

from benchmarks import harness
from benchmarks.report.formatting import duration
from benchmarks.report.formatting import table

DIGITS = (1, 2, 4, 15, 100)
# Whole sums right, in %, as the papers report them, by digits of a number.
PUBLISHED = {
    "DeepProbLog": {1: "97.2 ± 0.5", 2: "95.2 ± 1.7"},
    "NeurASP": {1: "97.3 ± 0.3", 2: "93.9 ± 0.7"},
    "NeuPSL": {1: "97.3 ± 0.3", 2: "93.9 ± 0.4"},
    "DeepStochLog": {1: "97.9 ± 0.1", 2: "96.4 ± 0.1", 4: "92.7 ± 0.6"},
    "A-NeSI": {
        1: "97.7 ± 0.2",
        2: "96.0 ± 0.4",
        4: "92.6 ± 0.8",
        15: "75.9 ± 2.2",
    },
    "DeepSoftLog": {4: "93.5 ± 0.6", 15: "77.1 ± 1.6"},
    "PLIA": {4: "91.8 ± 0.7", 15: "79.0 ± 0.7"},
    "NeSyDM": {4: "92.5 ± 1.0", 15: "77.3 ± 1.4"},
    "DeepProofLog": {4: "94.0 ± 0.3", 15: "80.8 ± 1.1", 100: "37.8"},
}
_NETWORKS, _MISSING = ("lenet", "residual"), "–"
_STARTS = {"all": "all columns", "first": "the first column"}


def make(name: str, folder: Path) -> str:
    """A part of the page: `sums`, `runs` or `commands`.

    Args:
        name: One of these.
        folder: Where the program `addition` wrote `addition_*.json`.
    """
    paths = folder.glob("addition_*.json")
    reports = {path.stem: harness.read(path) for path in paths}

    def place(item: tuple[str, dict]) -> tuple:
        stem, report = item
        network = _NETWORKS.index(report["network"])
        return network, "starts" in stem, report["digits"], stem

    parts = {"sums": sums, "runs": runs, "commands": commands}
    return parts[name](dict(sorted(reports.items(), key=place)))


def sums(reports: dict[str, dict]) -> str:
    """Whole sums that are right, ours beside the published ones."""
    rows = [
        [name, *(found.get(digits, _MISSING) for digits in DIGITS)]
        for name, found in PUBLISHED.items()
    ]
    for network in _NETWORKS:
        names = [f"addition_{network}_{digits}" for digits in DIGITS]
        cells = [_cell(reports.get(name)) for name in names]
        rows.append([f"ours, `{network}`", *cells])
    return table(["", *(f"N = {digits}" for digits in DIGITS)], rows)


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
        rows.append(
            [
                f"`{report['network']}`",
                str(report["digits"]),
                _STARTS[report["start"]],
                f"{seen:.0f}",
                _mean_std(found["sum"], found["n"]),
                _mean_std(found["digit"], found["n"]),
                f"{found['surely_most_probable'][0]:.1f}",
                f"{found['failed_starts']} of {found['n']}",
                duration(found["core_seconds"][0]),
            ]
        )
    return table(header, rows)


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
    failed, n = found["failed_starts"], found["n"]
    words = f" ({failed} of {n} failed)" if failed else ""
    return _mean_std(found["sum"], n) + words


def _mean_std(mean_std: list[float], n: int) -> str:
    mean, std = mean_std
    return f"{mean:.1f} ± {std:.1f} ({n})" if n > 1 else f"{mean:.1f} (1)"
