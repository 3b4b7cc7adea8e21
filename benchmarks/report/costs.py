"""Tables of docs/cost.md and docs/reliability.md: a format for each cell."""

import re
from collections.abc import Callable
from typing import Any

from benchmarks.report.formatting import table

_HEADER = "a step | images/s | peak memory | n"
_ROW = (
    "{milliseconds_of_a_step:.1f} ms | {images_per_second:,} | "
    "{megabytes[training]:,} MB | {n}"
)
# By table: the results, the rows in them, the header, and the form of a row.
# `x_least` is the least of the rounds in `x_of_rounds`.
_TABLES = {
    "computing": (
        *("throughput", "kinds", " | time | rate | of the product"),
        "{name} | {milliseconds:.1f} ms | {gigaflops:,.0f} GFLOP/s | "
        "{share_of_product:.0%}",
    ),
    "waiting": (
        *("pipeline", "presets"),
        " | pipeline alone | training | ratio | a step waits | input costs | "
        "a step",
        "`{name}` | {pipeline_images_per_second:,} images/s | "
        "{fit_images_per_second:,} images/s | {ratio:.0f} | "
        "{waiting_percent:.2f} % ({waiting_percent_least:.2f} to "
        "{waiting_percent_most:.2f}) | {cost_percent:.1f} % "
        "({cost_percent_least:.1f} to {cost_percent_most:.1f}) | "
        "{milliseconds_of_a_step:.1f} ms",
    ),
    "overheads": (
        *("overheads", "kinds", " | a step | ratio"),
        "{name} | {milliseconds_of_a_step:.1f} ms | "
        "{ratio:.3f} ({ratio_least:.3f} to {ratio_most:.3f})",
    ),
    "width": (
        *("growth", "width", f"width | parameters | {_HEADER}"),
        "{width:,} | {parameters:,} | " + _ROW,
    ),
    "batch_size": (
        *("growth", "batch_size", f"batch size | {_HEADER}"),
        "{batch_size:,} | " + _ROW,
    ),
    "images": (
        *("growth", "images", f"images | an epoch | {_HEADER}"),
        "{images:,} | {seconds_of_an_epoch:.1f} s | " + _ROW,
    ),
}


def make(name: str, load: Callable[[str], dict[str, Any]]) -> str:
    """A table, by its name.

    Args:
        name: Of `_TABLES`, or `profile`, `starting` or `memory`.
        load: Reads the results of a program.
    """
    if name == "profile":
        return _profile(load("throughput")["percent_of_a_step"])
    if name == "starting":
        return _starting(load("startup"))
    if name == "memory":
        return _memory(load("growth"))
    program, rows, header, form = _TABLES[name]
    report = load(program)
    found = report[rows]
    if isinstance(found, dict):
        found = [{"name": key, **row} for key, row in found.items()]
    lines = []
    for row in found:
        if row.get("name") == "checkpoints":
            size = report["megabytes_of_a_checkpoint"]
            steps = report["steps"]
            row["name"] = f"a checkpoint ({size} MB) in {steps} steps"
        for key in [key for key in row if key.endswith("_of_rounds")]:
            short = key.removesuffix("_of_rounds")
            least, most = min(row[key]), max(row[key])
            row |= {f"{short}_least": least, f"{short}_most": most}
        cells = re.sub(r"(?<=\d)%", " %", form.format(**row))
        lines.append(cells.split(" | "))
    return table(header.split(" | "), lines)


def _profile(parts: dict[str, dict[str, float]]) -> str:
    """Where the time of a training step goes."""
    kinds = list(next(iter(parts.values())))
    return table(
        ["", *kinds],
        [
            [precision, *(f"{shares[kind]:.0f} %" for kind in kinds)]
            for precision, shares in parts.items()
        ],
    )


def _starting(report: dict[str, Any]) -> str:
    rows = []
    for name, seconds in report["seconds"].items():
        least, most = report["least_and_most"][name]
        # A command is code, what is said of it is not.
        name = re.sub(r"^((?:python|import) [^,]*)", r"`\1`", name)
        spread = f"{least:.2f}-{most:.2f} s"
        rows.append([name, f"{seconds:.2f} s", spread])
    return table(["", "median", "range"], rows)


def _memory(report: dict[str, Any]) -> str:
    """Where the default run's memory goes, by when it was first needed."""
    [default] = [x["megabytes"] for x in report["width"] if x["width"] == 32]
    stages = {
        "Python, TensorFlow and Keras": default["TensorFlow"],
        "and MNIST": default["images"],
        "and the model and its optimizer": default["model"],
        "and training": default["training"],
        "a whole run of `train.py`": report["megabytes_of_the_default_run"],
    }
    rows = [[name, f"{value:,} MB"] for name, value in stages.items()]
    return table(["after", "most memory so far"], rows)


def circumstances(report: dict[str, Any]) -> str:
    """On what the figures were measured, in a sentence."""
    facts = report["environment"]
    packages = facts["packages"]
    return (
        f"`{report['command']}`: {facts['processor']}, {facts['device']}, "
        f"Python {facts['python']}, TensorFlow {packages['tensorflow']}, Keras "
        f"{packages['keras']}"
        + (f"; n = {report['n']}" if "n" in report else "")
    )
