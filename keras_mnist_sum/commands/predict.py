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
from keras_mnist_sum.utils import extras
from keras_mnist_sum.utils.atomic_files import make_folder
from keras_mnist_sum.utils.console import waiting

if TYPE_CHECKING:
    from keras_mnist_sum.inference.answer import Answer

HELP = "read digits in pictures, and compute with a number"
# Some that cannot be read are here, too: whoever has them wants to know.
_SUFFIXES = re.compile(
    r"(?i)\.(avif|bmp|gif|hei[cf]|jfif|jpe?g?|p[bgnp]m|png|svg|tiff?|webp)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this command takes."""
    parser.description = (
        "Prints a line for each picture: the digit that is drawn there and all "
        "other outputs of the model, such as its sum with the number."
    )
    parser.add_argument(
        "pictures",
        nargs="+",
        type=_picture,
        metavar="PICTURE",
        help="a picture of one digit, in any colours; a folder of them; or - "
        "for standard input",
    )
    parser.add_argument(
        "--number", required=True, type=int, metavar="N", help="0 to 9"
    )
    add_model_arguments(parser)
    parser.set_defaults(verbose=0)  # On standard output are answers alone.
    parser.add_argument(
        "--json", action="store_true", help="print each line as a JSON object"
    )
    parser.add_argument(
        "--show",
        type=cli.path,
        metavar="DIR",
        help="draw there, for each picture, what the model saw and the "
        "probabilities of each output",
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--model` and `--difference`, for `Predictor.load`."""
    parser.add_argument(
        "--model",
        type=cli.path,
        metavar="TARGET",
        help="a run directory, a .keras, .onnx or .tflite file or a SavedModel "
        "directory (default: the model that comes with the package)",
    )
    cli.add_difference_argument(parser)


def run(values: argparse.Namespace) -> int:
    """Prints a line for each picture.

    A picture that cannot be answered, or whose answer cannot be drawn, gets a
    line on standard error that says why, with `--json` an object. The others
    are answered. So does what is no picture in a folder: it is skipped.

    Returns:
        0, or 2 if a picture failed.

    Raises:
        InputError: If the number or the model cannot be used, or nothing can
            be written to the folder of `--show`.
    """
    # A terminal's line, soon erased: on standard output are answers alone.
    with waiting("reading the model", sys.stderr):
        from keras_mnist_sum.inference.pairs import check_number
        from keras_mnist_sum.inference.predictor import Predictor
        from keras_mnist_sum.utils.image_files import read_stream

        check_number(values.number)
        predictor = Predictor.load(values.model, values.difference)
    if values.show:
        extras.check("matplotlib", "`--show`")
        make_folder(values.show)
    pictures: list[str] = []
    for name in values.pictures:
        inside, skipped = _inside(name)
        pictures += inside or [name]
        for other, why in skipped.items():
            _print_problem("skipped", other, f"{other!r} ({why})", values.json)
    # What a drawing must not replace: pictures, other drawings of this call,
    # and files of the user.
    taken = {os.path.realpath(name) for name in pictures if "\0" not in name}
    drawn = failed = 0
    for picture in pictures:
        try:
            content = (
                read_stream(sys.stdin.buffer) if picture == "-" else picture
            )
            answer = predictor(content, values.number)
            if values.json:
                _print_json(picture, _facts(answer))
            else:
                name = picture if picture.isprintable() else repr(picture)
                print("  ".join([name, *answer.sentences()]))
            if values.show:
                # Imports matplotlib.
                from keras_mnist_sum.reporting.answer_plot import save_answer

                file = _free(values.show, Path(picture), taken)
                save_answer(file, answer)
                taken.add(os.path.realpath(file))
                drawn += 1
        except InputError as error:
            failed += 1
            _print_problem("error", picture, str(error), values.json)
    if drawn:
        print(f"drawn  {drawn} in {cli.quote(values.show)}", file=sys.stderr)
    return 2 if failed else 0


def _picture(text: str) -> str:
    cli.path(text)  # An empty one is refused.
    return text


def _inside(name: str) -> tuple[list[str], dict[str, str]]:
    """The pictures in a folder, and why all else in it is skipped.

    Hidden files count as if they were not there.
    """
    pictures, skipped = [], {}
    try:
        found = sorted(Path(name).iterdir(), key=_natural)
    except (OSError, ValueError):  # No folder, or it is found unreadable.
        return [], {}
    for path in found:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            skipped[str(path)] = "a folder: name it, too"
        elif _SUFFIXES.fullmatch(path.suffix):
            pictures.append(str(path))
        else:
            skipped[str(path)] = "not called as a picture is: name it, too"
    return pictures, skipped


def _natural(path: Path) -> tuple:
    """Sorts 2 before 10."""
    parts = re.split("([0-9]+)", path.name)
    return [int(x) if i % 2 else x for i, x in enumerate(parts)], path.name


def _free(folder: Path, picture: Path, taken: set[str]) -> Path:
    """A PNG file called as the picture, numbered if that is taken."""
    from keras_mnist_sum.reporting.answer_plot import is_drawing

    # A file's name has at most 255 bytes, and writing it takes some.
    stem = os.fsencode(picture.stem)[:200].decode(errors="ignore")
    free, count = folder / f"{stem}.png", 1
    while os.path.realpath(free) in taken or (
        free.is_file() and not is_drawing(free)
    ):
        count += 1
        free = folder / f"{stem}-{count}.png"
    return free


def _print_json(picture: str, facts: dict) -> None:
    line = {"picture": picture, **facts}
    print(json.dumps(line, allow_nan=False))


def _print_problem(kind: str, picture: str, text: str, as_json: bool) -> None:
    if as_json:
        _print_json(picture, {kind: text})
    else:
        print(f"{kind}: {text}", file=sys.stderr)


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
