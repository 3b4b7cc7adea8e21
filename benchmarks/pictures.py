"""How digits are read in crops, in large photos, in pairs and in parts.

    python -m benchmarks.pictures [--data auto] [--count 100] [--seed 0]
                                  [--json FILE] [--sheet FILE]

Draws half of the digits with a pen, and enlarges test images of MNIST for the
other half. Counts what the pretrained model reads right, what is refused, what
is wrong, and what is wrong at more than 90 %. Seed 0 is for the figures in the
pages, which nothing was chosen by; others are for development.
`--sheet` draws the first twelve pictures of each set.
"""

import argparse
import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.Image import Resampling
from scipy import ndimage

from benchmarks.photos import cloud
from benchmarks.photos import light_on
from benchmarks.strokes import by_hand
from keras_mnist_sum import Predictor
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import environment

SIDE = 280  # pixels: the height of a digit in a crop
SURE = 0.9
_EIGHT = np.ones((3, 3))  # Neighbours on the diagonals count.


class Digits:
    """Digits as opacity of ink, of one height, each like no other.

    Args:
        mnist: Whose test images are enlarged.
        rng: All chance comes from here.
    """

    def __init__(self, mnist: Mnist, rng: np.random.Generator) -> None:
        self._images, self._labels = mnist.test_images, mnist.test_labels
        self._rng = rng

    def __call__(self, thickest: float = 0.0) -> tuple[int, np.ndarray]:
        """Draws one.

        Args:
            thickest: By how much the ink grows at most on each side, as a part
                of its height. It grows less where a loop would be closed.

        Returns:
            The digit, and float32 `(280, width)` in 0-1, cut out at its ink.
        """
        if self._rng.random() < 0.5:
            digit = int(self._rng.integers(10))
            ink = by_hand(digit, self._rng) / np.float32(255)
        else:
            index = self._rng.integers(len(self._images))
            digit = int(self._labels[index])
            ink = self._images[index] / np.float32(255)
        return digit, self._grown(_enlarged(ink, SIDE), thickest)

    def _grown(self, ink: np.ndarray, thickest: float) -> np.ndarray:
        drawn = np.pad(ink > 0.5, SIDE)
        away = ndimage.distance_transform_edt(~drawn)
        reach = self._rng.uniform(0, thickest) * SIDE
        while reach > 2 and _loops(away <= reach) != _loops(drawn):
            reach *= 0.8
        return _enlarged((reach + 1 - away).clip(0, 1), SIDE)


def _enlarged(ink: np.ndarray, height: int) -> np.ndarray:
    """Cut out at its ink and scaled, with a smooth edge."""
    rows, columns = np.nonzero(ink > 0.3)
    box = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = height / len(box)
    size = (max(1, round(box.shape[1] * scale)), height)
    image = Image.fromarray(np.pad(box, 2).astype("float32"))
    pad = round(2 * scale)
    size = (size[0] + 2 * pad, size[1] + 2 * pad)
    large = np.asarray(image.resize(size, Resampling.BICUBIC))
    if scale > 2:
        large = ndimage.gaussian_filter(large, scale / 3)
        large = ((large - 0.5) * scale + 0.5).clip(0, 1)
    rows, columns = np.nonzero(large > 0.5)
    return large[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _loops(drawn: np.ndarray) -> int:
    return ndimage.label(~drawn)[1]


def crop(
    margin: int, digits: Digits, rng: np.random.Generator
) -> tuple[int, Image.Image]:
    """A thick digit cut out, `margin` of 280 pixels around its ink."""
    digit, ink = digits(thickest=0.06)
    return digit, _page(np.pad(ink, margin), rng)


def small(digits: Digits, rng: np.random.Generator) -> tuple[int, Image.Image]:
    """A digit 43 pixels high in a photo of 1,600 x 1,200."""
    digit, ink = digits(thickest=0.03)
    ink = np.asarray(
        Image.fromarray(ink).resize(
            (max(1, round(ink.shape[1] * 43 / SIDE)), 43), Resampling.BOX
        )
    )
    page = np.zeros((1200, 1600), "float32")
    top = rng.integers(60, page.shape[0] - 60 - ink.shape[0])
    left = rng.integers(60, page.shape[1] - 60 - ink.shape[1])
    page[top:, left:][: ink.shape[0], : ink.shape[1]] = ink
    return digit, _page(page, rng)


def pair(digits: Digits, rng: np.random.Generator) -> tuple[None, Image.Image]:
    """Two digits beside each other, or one time in five above each other."""
    one, other = digits()[1], digits()[1]
    other = _enlarged(other, round(SIDE * rng.uniform(0.7, 1)))
    if stacked := rng.random() < 0.2:
        one, other = one.T, other.T
    high = max(len(one), len(other))
    one, other = (np.pad(x, ((0, high - len(x)), (0, 0))) for x in (one, other))
    gap = np.zeros((high, round(SIDE * rng.uniform(0.08, 0.8))))
    ink = np.concatenate([one, gap, other], axis=1)
    ink = ink.T if stacked else ink
    return None, _page(np.pad(ink, rng.integers(30, 150)), rng)


def parts(digits: Digits, rng: np.random.Generator) -> tuple[int, Image.Image]:
    """A digit whose ink has a gap of up to a stroke's width somewhere."""
    while True:
        digit, ink = digits()
        angle = rng.uniform(0, np.pi)
        y, x = np.indices(ink.shape)
        row, column = rng.uniform(0.2, 0.8, 2) * ink.shape
        along = (y - row) * np.cos(angle) + (x - column) * np.sin(angle)
        gap = rng.uniform(0.02, 0.06) * SIDE
        broken = ink * (np.abs(along) > gap / 2)
        labels, found = ndimage.label(broken > 0.5, _EIGHT)
        areas = np.bincount(labels.ravel())[1:]
        if found == 2 and areas.min() > 0.15 * areas.sum():
            return digit, _page(np.pad(broken, rng.integers(30, 100)), rng)


def _page(ink: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Ink on paper, dark on light or the other way round.

    One page in four is black and white; others have colours, texture, uneven
    light, blur and noise.
    """
    ends = [np.zeros(3), np.ones(3)]
    if plain := rng.random() < 0.25:
        dark, light = ends
    else:
        dark, light = rng.uniform(0, 0.35, 3), rng.uniform(0.65, 1, 3)
    paper, pen = (light, dark) if rng.random() < 0.5 else (dark, light)
    page = paper + ink[..., np.newaxis] * (pen - paper)
    if not plain:
        height, width = ink.shape
        grain = cloud(height, width, rng.uniform(4, 40), rng)
        page *= 1 + rng.uniform(0, 0.03) * grain[..., np.newaxis]
        page *= light_on(height, width, rng)[..., np.newaxis]
        blur = rng.uniform(0, 1)
        page = ndimage.gaussian_filter(page, (blur, blur, 0))
        page += rng.normal(0, rng.uniform(0, 0.03), page.shape)
    return Image.fromarray(np.rint(255 * page.clip(0, 1)).astype("uint8"))


SETS: dict[str, Callable] = {
    "crop, no margin": functools.partial(crop, 0),
    "crop, margin of 10": functools.partial(crop, 10),
    "crop, margin of 20": functools.partial(crop, 20),
    "small in a photo": small,
    "broken in two": parts,
    "two digits": pair,
}


def score(
    predictor: Predictor, pictures: list[tuple[int | None, Image.Image]]
) -> dict[str, int]:
    """Counts outcomes; whatever is read where there are two is wrong."""
    counts = dict.fromkeys(("right", "refused", "wrong", "sure"), 0)
    for digit, picture in pictures:
        try:
            answer = predictor(picture, 0)
        except InputError:
            counts["refused"] += 1
            continue
        right = answer.digit == digit
        counts["right" if right else "wrong"] += 1
        counts["sure"] += not right and answer.probabilities["digit"] > SURE
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="auto", help="as of train.py")
    parser.add_argument("--count", type=int, default=100, help="of each set")
    parser.add_argument(
        "--seed", type=int, default=0, help="0: held out; others: development"
    )
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--sheet", type=Path, help="the PNG file to draw")
    values = parser.parse_args()
    mnist = load_mnist(values.data, test_only=True)
    predictor = Predictor.load()
    counts, shown = {}, []
    for index, (name, make) in enumerate(SETS.items()):
        rng = np.random.default_rng((values.seed, index))
        digits = Digits(mnist, rng)
        pictures = [make(digits, rng) for _ in range(values.count)]
        counts[name] = score(predictor, pictures)
        print(f"{name:20}", counts[name], flush=True)
        shown += [picture for _, picture in pictures[:12]]
    if values.sheet:
        _sheet(shown).save(values.sheet)
    if values.json:
        report = {
            "command": f"python -m benchmarks.pictures --data {mnist.source} "
            f"--count {values.count} --seed {values.seed}",
            "n": values.count,
            "data": mnist.description,
            "counts": counts,
            "environment": environment.facts(),
        }
        values.json.write_text(json.dumps(report, indent=2) + "\n")


def _sheet(pictures: list[Image.Image], columns: int = 12) -> Image.Image:
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (120 * columns, 120 * rows), (255, 0, 255))
    for index, picture in enumerate(pictures):
        place = (120 * (index % columns) + 4, 120 * (index // columns) + 4)
        small = picture.copy()
        small.thumbnail((112, 112))
        sheet.paste(small, place)
    return sheet


if __name__ == "__main__":
    main()
