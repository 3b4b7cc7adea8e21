"""The command `predict`: pictures in, a line each out."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference import Answer
from keras_mnist_sum.inference import Predictor
from keras_mnist_sum.inference import check_number

_SUFFIXES = ".bmp .gif .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp".split()


def predict(
    paths: Sequence[Path],
    number: int,
    target: Path | None = None,
    as_json: bool = False,
    show: Path | None = None,
) -> int:
    """Prints a line for each picture.

    For one that cannot be answered, the line says why, on standard error; the
    others are answered.

    Args:
        paths: Pictures, and folders, of which every picture is taken.
        number: 0-9.
        target: The model, as `Predictor.load` takes it.
        as_json: Whether a line is a JSON object, of a failure, too.
        show: A folder, which receives a PNG for each picture: what the model
            saw, and its three distributions.

    Returns:
        0, or 2 if a picture could not be answered.

    Raises:
        InputError: If the number, the model or a folder cannot be used.
    """
    pictures = [picture for path in paths for picture in _pictures(path)]
    check_number(number)
    predictor = Predictor.load(target)
    drawn: list[Path] = []
    code = 0
    for picture in pictures:
        try:
            answer = predictor(picture, number)
        except InputError as error:
            code = 2
            if as_json:
                print(
                    json.dumps({"picture": str(picture), "error": str(error)})
                )
            else:
                print(f"error: {error}", file=sys.stderr)
            continue
        if as_json:
            print(json.dumps({"picture": str(picture), **_facts(answer)}))
        else:
            print(f"{picture}  {_sentence(answer, predictor.difference)}")
        if show:
            # Slow to import, and of use here alone.
            from keras_mnist_sum.answerplot import save_answer

            drawn.append(_free(show / f"{picture.stem}.png", drawn))
            save_answer(drawn[-1], answer, predictor.difference)
    if drawn:
        print(f"drawn  {len(drawn)} in {show}", file=sys.stderr)
    return code


def _pictures(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    inside = [x for x in path.iterdir() if x.suffix.lower() in _SUFFIXES]
    if not inside:
        raise InputError(
            f"A folder must hold pictures. Received: {str(path)!r}, without "
            f"a file that ends in {', '.join(_SUFFIXES)}"
        )
    return sorted(inside)


def _free(path: Path, taken: list[Path]) -> Path:
    """`path`, or the first numbered one like it that is not taken."""
    free, count = path, 1
    while free in taken:
        count += 1
        free = path.with_stem(f"{path.stem}-{count}")
    return free


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
    shares = {
        name: f" ({100 * share:.1f} %)"
        for name, share in answer.probabilities.items()
    }
    bar = "|" if difference == "absolute" else ""
    parts = [
        f"digit {answer.digit}{shares['digit']}",
        f"{answer.digit} + {answer.number} = {answer.sum}"
        f"{shares.get('sum', '')}",
        f"{bar}{answer.digit} - {answer.number}{bar} = {answer.difference}"
        f"{shares.get('difference', '')}",
    ]
    if not answer.agree:
        parts.append("contradictory")
    return "  ".join(parts)
