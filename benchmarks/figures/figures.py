"""Draws the pictures of docs/ that are made of results or of runs.

    python -m benchmarks figures growth
    python -m benchmarks figures peers
    python -m benchmarks figures addition
    python -m benchmarks figures heads TITLE=RUN [TITLE=RUN ...]
    python -m benchmarks figures tables RUN [--output sum] [--steps 30 60 150]

The first two draw what benchmarks/results/ holds; the third the pretrained
model's answers; `heads` how often runs with several heads are right in each
cell; and `tables` how a run learned a table, which was trained with
`--tensorboard`. The picture of that name in docs/ is replaced, unless `--out`
names another file.
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
    "results": (Path, "a file of results, for the first two"),
    "out": (Path, "the PNG file to write"),
}
FIGURES = ("growth", "peers", "addition", "heads", "tables")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("figure", choices=FIGURES)
    add("runs", nargs="*", metavar="RUN", help="what to draw, for the last two")
    text = "after which to draw tables (default: 30 60 150)"
    add("--steps", type=int, nargs="+", default=[30, 60, 150], help=text)


def main(values: argparse.Namespace) -> None:
    runs, wanted = values.runs, {"heads": 99, "tables": 1}
    most = wanted.get(values.figure, 0)
    if len(runs) > most or (most and not runs):
        raise InputError(
            "heads draws runs, tables one run, and others none. "
            f"Received: {values.figure} {' '.join(runs)}"
        )
    name, out = values.figure, values.out
    out = out or harness.ROOT / "docs" / f"{name}.png"
    atomic_files.check_file(out)
    results = values.results or harness.RESULTS / f"{name}.json"
    if name in ("addition", "heads", "tables"):
        import_tensorflow()
    module = importlib.import_module(f"benchmarks.figures.{name}_figure")
    if name in ("growth", "peers"):
        try:
            figure = module.draw(harness.read(results))
        except KeyError as error:
            raise InputError(
                f"This must be a file of results of {name}. "
                f"Received: {str(results)!r}, without {error}"
            ) from error
    elif name == "addition":
        figure = module.draw()
    elif name == "heads":
        figure = module.draw(runs)
    else:
        figure = module.draw(Path(*runs), values.output, values.steps)
    with atomic_files.atomic_write(out) as aside:
        figure.savefig(aside, format="png")
    print(f"drawn: {out}")
