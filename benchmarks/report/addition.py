"""Tables of docs/addition.md: our results, beside published ones."""

from typing import Any

from benchmarks.report.formatting import duration
from benchmarks.report.formatting import mean_std
from benchmarks.report.formatting import table

DIGITS = ("1", "2", "4", "15", "100")
_STARTS = {"all": "all columns", "first": "the first column"}


def sums(published: dict[str, dict], reports: dict[str, dict]) -> str:
    """Whole sums that are right, ours beside the published ones.

    Args:
        published: In %, as the papers report them, by digits of a number.
        reports: Ours, at most one of each network and number of digits.
    """
    rows = dict(published)
    for report in reports.values():
        found = report["summary"]
        cell = _percent(found, "sum")
        if found["failed_starts"]:
            cell += f" ({found['failed_starts']} of {found['n']} failed)"
        ours = rows.setdefault(f"ours, `{report['network']}`", {})
        ours[str(report["digits"])] = cell
    return table(
        ["", *(f"N = {digits}" for digits in DIGITS)],
        [[x, *(row.get(n, "–") for n in DIGITS)] for x, row in rows.items()],
    )


def runs(reports: dict[str, dict]) -> str:
    """What each of our rows took, and how many of its starts failed."""
    header = [
        *("", "N", "begins with", "epochs", "sum", "digit"),
        *("P > 1/2", "failed starts", "training"),
    ]
    rows: list[list[Any]] = []
    for report in reports.values():
        found, config = report["summary"], report["config"]
        seen = config["steps"] * config["batch_size"] / report["sums"][0]
        rows.append(
            [
                *(f"`{report['network']}`", report["digits"]),
                *(_STARTS[report["start"]], f"{seen:.0f}"),
                *(_percent(found, "sum"), _percent(found, "digit")),
                f"{found['surely_most_probable'][0]:.1f}",
                f"{found['failed_starts']} of {found['n']}",
                duration(found["core_seconds"][0]),
            ]
        )
    return table(header, rows)


def _percent(found: dict, name: str) -> str:
    return f"{mean_std(found[name], found['n'], 1)} ({found['n']})"
