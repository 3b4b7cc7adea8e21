"""How digits are read in crops, in large photos, in pairs and in parts.

Draws half of the digits with a pen, and enlarges test images of MNIST for the
other half. Counts what the pretrained model reads right, what is refused, what
is wrong, and what is wrong at more than 90 %. Seed 0 is for the figures in the
pages, which nothing was chosen by; others are for development.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import harness
from keras_mnist_sum import Predictor
from keras_mnist_sum.data.sources import load_mnist
from tests.fixtures.pictures import SETS
from tests.fixtures.pictures import Digits
from tests.fixtures.pictures import score

OPTIONS = {
    "data": ("auto", "as train.py takes it"),
    "count": (100, "pictures of each set"),
    "seed": (0, "of all chance"),
    "sheet": (Path, "a PNG file to draw twelve of each set in"),
}
SMOKE = {"count": 2, "data": "sample"}


def main(values: argparse.Namespace) -> None:
    mnist = load_mnist(values.data, test_only=True)
    predictor, counts = Predictor.load(), {}
    sheet = Image.new("RGB", (120 * 12, 120 * len(SETS)), (255, 0, 255))
    for row, (name, make) in enumerate(SETS.items()):
        rng = np.random.default_rng((values.seed, row))
        digits = Digits(mnist, rng)
        pictures = [make(digits, rng) for _ in range(values.count)]
        counts[name] = score(predictor, pictures)
        for column, (_, picture) in enumerate(pictures[:12]):
            small = picture.copy()
            small.thumbnail((112, 112))
            sheet.paste(small, (120 * column + 4, 120 * row + 4))
    if values.sheet:
        sheet.save(values.sheet)
    harness.save(values, {"data": mnist.description, "counts": counts})
