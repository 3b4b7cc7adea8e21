"""The command `predict`: pictures in, a line each out."""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keras_mnist_sum.commands import cli
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.atomic_files import make_folder

if TYPE_CHECKING:
    from keras_mnist_sum.inference.answer import Answer

HELP = "read digits in pictures, and compute with a number"
_SUFFIXES = re.compile(r"(?i)\.(bmp|gif|jpe?g|p[bgp]m|png|tiff?|webp)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this command takes."""
    parser.description = (
        "Prints a line for each picture: the digit that is drawn there and all "
        "other outputs of the model, such as its sum with the number."
    )
    parser.add_argument(
        "pictures",
        nargs="+",
        type=Path,
        metavar="PICTURE",
        help="a picture of one digit, in any colours, or a folder of them",
    )
    parser.add_argument(
        "--number", required=True, type=int, metavar="N", help="0 to 9"
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--json", action="store_true", help="print each line as a JSON object"
    )
    parser.add_argument(
        "--show",
        type=Path,
        metavar="DIR",
        help="draw there, for each picture, what the model saw and the "
        "probabilities of each output",
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--model` and `--difference`, for `Predictor.load`."""
    parser.add_argument(
        "--model",
        type=Path,
        metavar="TARGET",
        help="a run directory, a .keras, .onnx or .tflite file or a SavedModel "
        "directory (default: the model that comes with the package)",
    )
    cli.add_difference_argument(parser)


def run(values: argparse.Namespace) -> int:
    """Prints a line for each picture.

    A picture that cannot be answered, or whose answer cannot be drawn, gets a
    line on standard error that says why, with `--json` an object. The others
    are answered.

    Returns:
        0, or 2 if one of them failed.

    Raises:
        InputError: If the number or the model cannot be used, or nothing can
            be written to the folder of `--show`.
    """
    from keras_mnist_sum.inference.predictor import Predictor
    from keras_mnist_sum.inference.predictor import check_number

    check_number(values.number)
    predictor = Predictor.load(values.model, values.difference)
    if values.show:
        make_folder(values.show)
    pictures = [x for path in values.pictures for x in _pictures(path)]
    # What a drawing must not replace: pictures, and other drawings.
    taken = {os.path.realpath(picture) for picture in pictures}
    drawn = failed = 0
    for picture in pictures:
        try:
            answer = predictor(picture, values.number)
            if values.json:
                _print_json(picture, _facts(answer))
            else:
                name = str(picture)
                name = name if name.isprintable() else repr(name)
                print("  ".join([name, *answer.sentences()]))
            if values.show:
                # Imports matplotlib.
                from keras_mnist_sum.reporting.answer_plot import save_answer

                file = _free(values.show, picture, taken)
                save_answer(file, answer)
                taken.add(os.path.realpath(file))
                drawn += 1
        except InputError as error:
            failed += 1
            if values.json:
                _print_json(picture, {"error": str(error)})
            else:
                print(f"error: {error}", file=sys.stderr)
    if drawn:
        print(f"drawn  {drawn} in {values.show}", file=sys.stderr)
    return 2 if failed else 0


def _pictures(path: Path) -> list[Path]:
    """The pictures in a folder; anything else as it is, to be tried as one."""
    try:
        inside = path.iterdir() if path.is_dir() else [path]
        return sorted(
            x for x in inside if x == path or _SUFFIXES.fullmatch(x.suffix)
        ) or [path]
    except OSError:
        return [path]


def _free(folder: Path, picture: Path, taken: set[str]) -> Path:
    """A PNG file called as the picture, numbered if that is taken."""
    # A file's name has at most 255 bytes, and writing it takes some.
    stem = os.fsencode(picture.stem)[:200].decode(errors="ignore")
    free, count = folder / f"{stem}.png", 1
    while os.path.realpath(free) in taken:
        count += 1
        free = folder / f"{stem}-{count}.png"
    return free


def _print_json(picture: Path, facts: dict) -> None:
    line = {"picture": str(picture), **facts}
    print(json.dumps(line, allow_nan=False))


def _facts(answer: "Answer") -> dict:
    return {
        **answer.values,
        "number": answer.number,
        "probabilities": {
            name: round(share, 6)
            for name, share in answer.probabilities.items()
        },
        "agree": answer.agree,
    }
