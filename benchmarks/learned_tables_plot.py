"""How a run learned a table: its pictures in TensorBoard, side by side.

    python -m benchmarks.learned_tables_plot RUN [--output sum]
                                             [--steps 30 60 150]

Draws `docs/tables.png` from a run that was trained with `--tensorboard`.
"""

import argparse
import io
import sys
from pathlib import Path

from PIL import Image

from keras_mnist_sum.commands import cli
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.utils.atomic_files import atomic_write

ROOT = Path(__file__).resolve().parent.parent


def pictures(folder: Path, tag: str) -> dict[int, Image.Image]:
    """The pictures with a tag in event files, by step."""
    from tensorboard.backend.event_processing import event_file_loader

    found = {}
    for path in folder.rglob("*tfevents.epoch-*"):
        for event in event_file_loader.EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.tag == tag:
                    _, _, png = value.tensor.string_val
                    found[event.step] = Image.open(io.BytesIO(png))
    return found


def draw(run: Run, output: str, steps: list[int], path: Path) -> None:
    """Puts the tables after some steps beside each other, to a PNG."""
    found = pictures(run.tensorboard, f"tables/{output}")
    if missing := [step for step in steps if step not in found]:
        raise InputError(
            f"There are tables of {output} after steps "
            f"{', '.join(map(str, sorted(found)))}. Received: {missing}"
        )
    width = sum(found[step].width for step in steps)
    sheet = Image.new("RGB", (width, found[steps[0]].height), "white")
    left = 0
    for step in steps:
        sheet.paste(found[step], (left, 0))
        left += found[step].width
    with atomic_write(path) as aside:
        sheet.save(aside, "PNG", optimize=True)


def main() -> int:
    parser = cli.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Run, metavar="RUN")
    parser.add_argument("--output", default="sum")
    parser.add_argument("--steps", type=int, nargs="+", default=[30, 60, 150])
    values: argparse.Namespace = parser.parse_args()
    path = ROOT / "docs" / "tables.png"
    return cli.run(lambda: draw(values.run, values.output, values.steps, path))


if __name__ == "__main__":
    sys.exit(main())
