"""Fills the tables of the README, of docs/ and of the model card.

Every figure comes from `benchmarks/results/*.json`, which the other programs
wrote. A table stands between two comments, `<!-- KIND: NAMES -->` and
`<!-- end -->`, and is replaced there. With `--check` nothing is written: pages
that would change are named, and the exit code is 1 if there are some.
"""

import argparse
import re
from collections.abc import Callable
from typing import Any

from benchmarks import harness
from benchmarks.report import addition
from benchmarks.report import costs
from benchmarks.report import peers
from benchmarks.report.formatting import duration
from benchmarks.report.formatting import mean_std
from benchmarks.report.formatting import table
from keras_mnist_sum.utils import atomic_files

OPTIONS = {"check": (bool, "write nothing")}
_NAMES = "addition cost heads performance reliability results"
PAGES = (
    harness.ROOT / "README.md",
    *(harness.ROOT / "docs" / f"{name}.md" for name in _NAMES.split()),
    harness.ROOT / "keras_mnist_sum" / "pretrained" / "CARD.md",
)
_BLOCK = re.compile(r"(<!-- (\w+): ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_OUTPUTS = ("digit", "sum", "difference")


def main(values: argparse.Namespace) -> int:
    texts = {page: atomic_files.read_text(page) for page in PAGES}
    filled = {page: fill(text) for page, text in texts.items()}
    changed = [page for page in PAGES if texts[page] != filled[page]]
    for page in changed:
        print(page.relative_to(harness.ROOT))
        if not values.check:
            atomic_files.write_text(page, filled[page])
    what = "would change" if values.check else "changed"
    print(f"{len(changed)} of {len(PAGES)} pages {what}")
    return int(values.check and bool(changed))


def fill(text: str) -> str:
    """Returns `text` with every table in it made anew."""
    kinds: dict[str, Callable[..., str]] = {
        "summary": _summary,
        "table": _table,
        "commands": _commands,
        "additive": _additive,
        "wrong_sums": _wrong_sums,
        "peers": lambda *parts: peers.make(_load("peers"), parts),
        "cost": lambda name: costs.make(name, _load),
        "measured": lambda name: costs.circumstances(_load(name)),
        "sums": lambda *names: addition.sums(
            _load("addition_published"), {name: _load(name) for name in names}
        ),
        "addition": lambda *names: addition.runs(
            {name: _load(name) for name in names}
        ),
    }

    def replace(match: re.Match) -> str:
        begin, kind, names, end = match.groups()
        return f"{begin}{kinds[kind](*names.split())}\n{end}"

    return _BLOCK.sub(replace, text)


def _load(name: str) -> dict[str, Any]:
    return harness.read(harness.RESULTS / f"{name}.json")


def _summary(*names: str) -> str:
    header = ["", "digit", "sum", "difference", "all three", "n", "training"]
    rows = [
        [f"`{name}`", *_accuracies(report), report["n"], _time(report)]
        for name in names
        for report in [_load(name)]
    ]
    return table(header, rows)


def _table(*names: str) -> str:
    header = [
        *("", "parameters", "steps x batch", "precision", "training", "n"),
        *("digit", "sum", "difference", "all three", "calibration error"),
        "95 % over images",
    ]
    rows = []
    for name in names:
        report = _load(name)
        run, config = report["runs"][0], report["config"]
        ends = report.get("interval_over_images", {}).get("all")
        row = [
            f"`{name}`",
            f"{run['parameters']:,}",
            f"{run['steps']:,} x {config['batch_size']}",
            *(config["precision"], _time(report), report["n"]),
            *_accuracies(report),
            ", ".join(_error(report["mean_std"], x) for x in _OUTPUTS),
            "{:.2f} to {:.2f}".format(*ends) if ends else "",
        ]
        rows.append(row)
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    return table(header, rows)


def _additive(*names: str) -> str:
    """Right cells of a linear layer that is told the digit."""
    reports = [_load("additive")[name.replace("_", " ")] for name in names]
    counts = [report["right_cells_after_sgd"] for report in reports]
    rows = [
        [f"{int(step):,}", *(f"{x[step]:.1f}" for x in counts)]
        for step in counts[0]
    ]
    best = [report["right_cells_at_optimum"] for report in reports]
    header = ["after steps", *(name.replace("_", " ") for name in names)]
    return table(header, [*rows, ["optimum", *best]])


def _wrong_sums(*names: str) -> str:
    """Of each head, what sums it gets wrong, and how sure it is of them."""
    header = [
        *("", "wrong sums", "beside a right digit", "off by one"),
        *("by two at most", "sure of right sums", "of wrong ones", "area"),
    ]
    found = _load("wrong_sums")["heads"]
    forms = {
        **dict.fromkeys(("wrong", "beside_right_digit"), "{:,}"),
        **dict.fromkeys(("off_by_one", "off_by_two_at_most"), "{:.0%}"),
        **dict.fromkeys(("sure_of_right", "sure_of_wrong", "area"), "{:.4f}"),
    }
    rows = [
        [
            f"`{name}`",
            *(
                form.format(found[name][x]) if x in found[name] else ""
                for x, form in forms.items()
            ),
        ]
        for name in names
    ]
    return table(header, [[x.replace("%", " %") for x in row] for row in rows])


def _time(report: dict) -> str:
    if "time_alone" in report:  # It ran beside other work; this was estimated.
        return report["time_alone"]
    means = report["mean_std"]
    alone = means["training_seconds"]
    seconds, _ = means.get("training_seconds_with_teachers", alone)
    cores = report["environment"]["cores"]
    return f"{duration(seconds)}, {cores} core{'s' * (cores > 1)}"


def _accuracies(report: dict) -> list[str]:
    """Of every output and all together, with the deviation over seeds."""
    means = report["mean_std"]
    return [mean_std(means[x], report["n"], 2) for x in (*_OUTPUTS, "all")]


def _error(means: dict, output: str) -> str:
    if f"{output}_calibration_error" in means:
        return f"{100 * means[f'{output}_calibration_error'][0]:.2f}"
    return f"(MAE {means[f'{output}_mean_absolute_error'][0]:.3f})"


def _commands(*names: str) -> str:
    commands = [_load(name)["command"] for name in names]
    return "\n".join(["```", *commands, "```"])
