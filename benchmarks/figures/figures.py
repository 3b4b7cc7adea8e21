"""Draws the pictures of docs/ that are made of results or of runs.

    python -m benchmarks figures peers
    python -m benchmarks figures addition
    python -m benchmarks figures heads TITLE=RUN [TITLE=RUN ...]
    python -m benchmarks figures tables RUN [--output sum] [--steps 30 60 150]

`peers` draws what benchmarks/results/ holds; `addition` the pretrained model's
answers; `heads` how often runs with several heads are right in each cell; and
`tables` how a run learned a table, which was trained with `--tensorboard`. The
picture of that name in docs/ is replaced, unless `--out` names another file.
"""

import argparse
import importlib
from pathlib import Path

from benchmarks import harness
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils.quiet import import_tensorflow

OPTIONS = {
    "output": ("sum", "of tables"),
    "results": (Path, "a file of results, for peers"),
    "out": (Path, "the PNG file to write"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("figure", choices=("peers", "addition", "heads", "tables"))
    add("runs", nargs="*", metavar="RUN", help="what to draw, for the last two")
    text = "after which to draw tables (default: 30 60 150)"
    add("--steps", type=int, nargs="+", default=[30, 60, 150], help=text)


def main(values: argparse.Namespace) -> None:
    name, runs = values.figure, values.runs
    least, most = {"heads": (1, 99), "tables": (1, 1)}.get(name, (0, 0))
    if not least <= len(runs) <= most:
        raise InputError(
            "heads draws runs, tables one run, and others none. "
            f"Received: {name} {' '.join(runs)}"
        )
    out = values.out or harness.ROOT / "docs" / f"{name}.png"
    atomic_files.check_file(out)
    if name != "peers":
        import_tensorflow()
    draw = importlib.import_module(f"benchmarks.figures.{name}_figure").draw
    if name == "peers":
        stored = harness.RESULTS / "peers.json"
        figure = draw(harness.read(values.results or stored))
    elif name == "tables":
        figure = draw(Path(*runs), values.output, values.steps)
    else:
        figure = draw(runs) if runs else draw()
    with atomic_files.atomic_write(out) as aside:
        figure.savefig(aside, format="png")
    print(f"drawn: {out}")
