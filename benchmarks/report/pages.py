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
from benchmarks.report.formatting import table
from keras_mnist_sum import presets
from keras_mnist_sum.utils import atomic_files

OPTIONS = {"check": (bool, "write nothing")}
PAGES = (
    harness.ROOT / "README.md",
    *(
        harness.ROOT / "docs" / f"{name}.md"
        for name in (
            *("addition", "cost", "heads", "performance"),
            *("reliability", "results"),
        )
    ),
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
    """Returns `text` with every table in it made anew.

    Raises:
        InputError: If a table names a result that is not there.
        KeyError: If there is no such kind of table.
    """
    kinds: dict[str, Callable[[list[str]], str]] = {
        "summary": _summary,
        "table": _table,
        "commands": _commands,
        "additive": _additive,
        "peers": lambda parts: peers.make(_load("peers"), parts),
        "peers_xeon": lambda parts: peers.make(_load("peers_xeon"), parts),
        "cost": lambda names: costs.make(names[0], _load),
        "measured": lambda names: costs.circumstances(_load(names[0])),
        "addition": lambda names: addition.make(names[0], harness.RESULTS),
    }

    def replace(match: re.Match) -> str:
        begin, kind, names, end = match.groups()
        return f"{begin}{kinds[kind](names.split())}\n{end}"

    return _BLOCK.sub(replace, text)


def _load(name: str) -> dict[str, Any]:
    return harness.read(harness.RESULTS / f"{name}.json")


def _summary(names: list[str]) -> str:
    header = ["", "digit", "sum", "difference", "all three", "n", "training"]
    rows = []
    for name in names:
        report = _load(name)
        n = str(report["n"])
        rows.append([f"`{name}`", *_accuracies(report), n, _time(report)])
    return table(header, rows)


def _table(names: list[str]) -> str:
    header = [
        *("", "parameters", "steps x batch", "precision", "training", "n"),
        *("digit", "sum", "difference", "all three", "calibration error"),
    ]
    reports = {name: _load(name) for name in names}
    with_interval = any("interval_over_images" in x for x in reports.values())
    if with_interval:
        header.append("95 % over images")
    rows = []
    for name, report in reports.items():
        run, config = report["runs"][0], report["config"]
        row = [
            f"`{name}`",
            f"{run['parameters']:,}",
            f"{run['steps']:,} x {config['batch_size']}",
            config["precision"],
            _time(report),
            str(report["n"]),
            *_accuracies(report),
            ", ".join(_error(report["mean_std"], x) for x in _OUTPUTS),
        ]
        if with_interval:
            ends = report.get("interval_over_images", {}).get("all")
            row.append("{:.2f} to {:.2f}".format(*ends) if ends else "")
        rows.append(row)
    return table(header, rows)


def _additive(names: list[str]) -> str:
    """Right cells of a linear layer that is told the digit."""
    names = [name.replace("_", " ") for name in names]
    reports = [_load("additive")[name] for name in names]
    counts = [report["right_cells_after_sgd"] for report in reports]
    rows = [
        [f"{int(step):,}", *(f"{x[step]:.1f}" for x in counts)]
        for step in counts[0]
    ]
    best = [str(report["right_cells_at_optimum"]) for report in reports]
    return table(["after steps", *names], [*rows, ["optimum", *best]])


def _time(report: dict) -> str:
    if "time_alone" in report:  # It ran beside other work; this was estimated.
        return report["time_alone"]
    means = report["mean_std"]
    seconds, _ = means.get(
        "training_seconds_with_teachers", means["training_seconds"]
    )
    cores = report["environment"]["cores"]
    return f"{duration(seconds)}, {cores} core{'s' if cores > 1 else ''}"


def _accuracies(report: dict) -> list[str]:
    """Of every output and all together, with the deviation over seeds."""
    means = [report["mean_std"][name] for name in (*_OUTPUTS, "all")]
    several = report["n"] > 1
    return [f"{x:.2f}" + f" ± {std:.2f}" * several for x, std in means]


def _error(means: dict, output: str) -> str:
    if f"{output}_calibration_error" in means:
        return f"{100 * means[f'{output}_calibration_error'][0]:.2f}"
    return f"(MAE {means[f'{output}_mean_absolute_error'][0]:.3f})"


def _commands(names: list[str]) -> str:
    lines = []
    for name in names:
        report = _load(name)
        flags = report["command"].removeprefix("python train.py").strip()
        command = f"python -m benchmarks results {name} --seeds {report['n']}"
        if report["environment"]["cores"] == 1:
            command += " --jobs 2"  # on two cores, one for each run
        config = report["config"]
        # What `auto` chose there, it may not choose here.
        auto = presets.get(config["preset"]).config.precision == "auto"
        if auto and "--precision" not in flags:
            flags += f" --precision {config['precision']}"
        lines.append(f"{command} {flags.strip()}".strip())
    return "\n".join(["```", *lines, "```"])
