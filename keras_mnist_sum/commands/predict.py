"""The command `predict`: pictures in, a line each out."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from keras_mnist_sum import task
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference.predictor import Answer
from keras_mnist_sum.inference.predictor import Predictor
from keras_mnist_sum.inference.predictor import check_number
from keras_mnist_sum.utils import atomic_files

_SUFFIXES = ".bmp .gif .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp".split()


def predict(
    paths: Sequence[Path],
    number: int,
    target: Path | None = None,
    as_json: bool = False,
    show: Path | None = None,
) -> int:
    """Prints a line for each picture.

    For one that cannot be answered, or its answer not drawn, a line says why,
    on standard error; the others are answered.

    Args:
        paths: Pictures, and folders, of which every picture is taken.
        number: 0-9.
        target: The model, as `Predictor.load` takes it.
        as_json: Whether a line is a JSON object, of a failure, too.
        show: A folder, which receives a PNG for each picture: what the model
            saw, and its three distributions.

    Returns:
        0, or 2 if one of them failed.

    Raises:
        InputError: If the number or the model is none, or `show` cannot be
            written to.
    """
    check_number(number)
    predictor = Predictor.load(target)
    if show:
        atomic_files.make_folder(show)
    pictures = [picture for path in paths for picture in _pictures(path)]
    # What a drawing must not replace: pictures, and other drawings.
    taken = {os.path.realpath(picture) for picture in pictures}
    drawn = failed = 0
    for picture in pictures:
        try:
            answer = predictor(picture, number)
            if as_json:
                _print_json(picture, _facts(answer))
            else:
                sentence = _sentence(answer, predictor.difference)
                print(f"{_printable(picture)}  {sentence}")
            if show:
                # Slow to import, and of use here alone.
                from keras_mnist_sum.reporting.answer_plot import save_answer

                file = _free(show, picture, taken)
                save_answer(file, answer, predictor.difference)
                taken.add(os.path.realpath(file))
                drawn += 1
        except InputError as error:
            failed += 1
            if as_json:
                _print_json(picture, {"error": str(error)})
            else:
                print(f"error: {error}", file=sys.stderr)
    if drawn:
        print(f"drawn  {drawn} in {show}", file=sys.stderr)
    return 2 if failed else 0


def _pictures(path: Path) -> list[Path]:
    """The pictures in a folder, or what else is there, to be tried as one."""
    try:
        inside = path.iterdir() if path.is_dir() else [path]
        return sorted(
            x for x in inside if x == path or x.suffix.lower() in _SUFFIXES
        ) or [path]
    except OSError:
        return [path]


def _free(folder: Path, picture: Path, taken: set[str]) -> Path:
    """A PNG file called as the picture, numbered if that is taken."""
    # A file's name has at most 255 bytes, and some are for the writing.
    stem = os.fsencode(picture.stem)[:200].decode(errors="ignore")
    free, count = folder / f"{stem}.png", 1
    while os.path.realpath(free) in taken:
        count += 1
        free = folder / f"{stem}-{count}.png"
    return free


def _print_json(picture: Path, facts: dict) -> None:
    line = {"picture": str(picture), **facts}
    print(json.dumps(line, allow_nan=False))


def _printable(path: Path) -> str:
    """A path in one line, whatever it is called."""
    return str(path) if str(path).isprintable() else repr(str(path))


def _facts(answer: Answer) -> dict:
    return {
        "number": answer.number,
        "digit": answer.digit,
        "sum": answer.sum,
        "difference": answer.difference,
        "probabilities": {
            name: round(share, 6)
            for name, share in answer.probabilities.items()
        },
        "agree": answer.agree,
    }


def _sentence(answer: Answer, difference: str) -> str:
    said = {"digit": f"digit {answer.digit}"}
    written = task.written(answer.digit, answer.number, difference)
    for name, question in written.items():
        # What a keyboard has can be searched for.
        said[name] = f"{question.replace('−', '-')} = {getattr(answer, name)}"
    for name, share in answer.probabilities.items():
        said[name] += f" ({100 * share:.1f} %)"
    parts = list(said.values())
    if not answer.agree:
        parts.append("contradictory")
    return "  ".join(parts)
