"""Tables of docs/cost.md and docs/reliability.md: a format for each cell."""

import re
from collections.abc import Callable
from typing import Any

from benchmarks.report.formatting import table

_HEADER = "a step | images/s | peak memory"
_ROW = (
    "{milliseconds_of_a_step:.1f} ms | {images_per_second:,} | "
    "{megabytes[training]:,} MB"
)
_PARTS = "optimizer normalization convolutions pooling ReLU other".split()
# By table: the results, the rows in them, the header, and the form of a row.
# `x_least` is the least of the rounds in `x_of_rounds`.
_TABLES = {
    "computing": (
        *("throughput", "kinds", " | time | rate | of the product"),
        "{name} | {milliseconds:.1f} ms | {gigaflops:,.0f} GFLOP/s | "
        "{share_of_product:.0%}",
    ),
    "profile": (
        *("throughput", "percent_of_a_step", " | ".join(["", *_PARTS])),
        " | ".join(["{name}", *(f"{{{part}:.0f}} %" for part in _PARTS)]),
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
    "starting": (
        *("startup", "starts", " | median | range"),
        "{name} | {seconds:.2f} s | {seconds_least:.2f}-{seconds_most:.2f} s",
    ),
    "overheads": (
        *("overheads", "kinds", " | a step | ratio within a round"),
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
    "memory": (
        *("growth", "memory", "after | most memory so far"),
        "{name} | {megabytes:,} MB",
    ),
}


def make(name: str, load: Callable[[str], dict[str, Any]]) -> str:
    """A table, by its name.

    Args:
        name: Of `_TABLES`.
        load: Reads the results of a program.
    """
    program, rows, header, form = _TABLES[name]
    found, lines = load(program)[rows], []
    if isinstance(found, dict):
        found = [{"name": key, **row} for key, row in found.items()]
    for row in found:
        for key in [key for key in row if key.endswith("_of_rounds")]:
            short = key.removesuffix("_of_rounds")
            least, most = min(row[key]), max(row[key])
            row |= {f"{short}_least": least, f"{short}_most": most}
        cells = re.sub(r"(?<=\d)%", " %", form.format(**row))
        lines.append(cells.split(" | "))
    return table(header.split(" | "), lines)


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
