"""How digits are read in photos, crops, pairs and parts, and drawn on the page.

Makes pictures as `tests/fixtures` describe them, of MNIST's test digits and of
strokes, and counts what the pretrained model reads right, what is refused, what
is wrong, and what is wrong at more than 90 %. Photos have a number each, and
are also shown to it without being prepared: merely scaled to 28 x 28 grays, as
they are or inverted where they are bright. Seed 0 is for the figures in the
pages, which nothing was chosen by; others are for development.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from benchmarks import harness
from keras_mnist_sum import Predictor
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference.answer import Answer
from keras_mnist_sum.inference.pictures import strokes_to_mnist
from keras_mnist_sum.inference.pictures import to_mnist
from keras_mnist_sum.reporting.image_grids import describe_pair
from tests.fixtures.photos import make_photo
from tests.fixtures.pictures import SETS
from tests.fixtures.pictures import Digits
from tests.fixtures.pictures import score
from tests.fixtures.strokes import by_hand

OPTIONS = {
    "data": ("auto", "as train.py takes it"),
    "count": (100, "pictures of each set and digit; five times as many photos"),
    "seed": (0, "of all chance"),
    "sheet": (Path, "a PNG file for eight photos and what was seen of them"),
}
SMOKE = {"count": 2, "data": "sample"}


def main(values: argparse.Namespace) -> None:
    mnist, predictor = load_mnist(values.data, test_only=True), Predictor.load()
    counts = {}
    for row, (name, make) in enumerate(SETS.items()):
        rng = np.random.default_rng((values.seed, row))
        digits = Digits(mnist, rng)
        pictures = [make(digits, rng) for _ in range(values.count)]
        counts[name] = score(predictor, pictures)
    rng = np.random.default_rng(values.seed)
    drawn = [
        (digit, strokes_to_mnist(by_hand(digit, rng)))
        for digit in range(10)
        for _ in range(values.count)
    ]
    counts["drawn on the sheet"] = score(predictor, drawn)
    found = {"counts": counts, "photos": in_photos(mnist, predictor, values)}
    harness.save(values, {"data": mnist.description, **found})


def in_photos(
    mnist: Mnist, predictor: Predictor, values: argparse.Namespace
) -> dict[str, Any]:
    """Right answers of every output in %, by what the model was shown."""
    rng = np.random.default_rng(values.seed)
    chosen = rng.permutation(len(mnist.test_images))[: 5 * values.count]
    digits, labels = mnist.test_images[chosen], mnist.test_labels[chosen]
    numbers = rng.integers(0, 10, len(chosen))
    photos = [make_photo(digit, rng) for digit in digits]
    scaled = np.stack([_scaled(photo) for photo in photos])
    bright = scaled.mean(axis=(1, 2), keepdims=True) > 127
    shown = {
        "mnist": digits,
        "prepared": np.stack([_prepared(photo) for photo in photos]),
        "scaled": scaled,
        "scaled_and_inverted": np.where(bright, 255 - scaled, scaled),
    }
    percent: dict[str, Any] = {}
    for form, images in shown.items():
        answers, percent[form] = predictor.answers(images, numbers), {}
        for name, output in predictor.task.items():
            given = [answer.values[name] for answer in answers]
            right = given == output.pair_values[labels, numbers]
            percent[form][name] = round(100 * float(right.mean()), 2)
    percent["refused"] = int((~shown["prepared"].any(axis=(1, 2))).sum())
    if values.sheet:
        _draw(values.sheet, photos[:8], predictor(photos[:8], numbers[:8]))
    return percent


def _scaled(photo: Image.Image) -> np.ndarray:
    gray = photo.convert("L").resize((28, 28), Image.Resampling.BICUBIC)
    return np.asarray(gray)


def _prepared(photo: Image.Image) -> np.ndarray:
    try:
        return to_mnist(photo)
    except InputError:  # It counts: a blank image is answered somehow.
        return np.zeros((28, 28), "uint8")


def _draw(path: Path, photos: list, answers: list[Answer]) -> None:
    """Photos, what the model saw of each, and its answers."""
    figure = Figure(figsize=(12, 3.6), dpi=110, layout="constrained")
    rows = figure.subplots(2, len(answers), height_ratios=(1.4, 1))
    for top, bottom, photo, answer in zip(*rows, photos, answers, strict=True):
        top.imshow(photo)
        lines = describe_pair(answer.task, answer.values, answer.number)
        top.set_title("\n".join(lines), fontsize=9)
        bottom.imshow(answer.image, cmap="gray")
        for axes in (top, bottom):  # A border, but no ticks.
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_color("0.7")
    figure.savefig(path)
