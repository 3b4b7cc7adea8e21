"""How well digits are read in photos, which are not MNIST's.

Makes pictures of test digits as `make_photo` in tests/fixtures/photos.py
describes, draws a number for each, and counts the right answers of the
pretrained model: on the digits as MNIST has them, on the pictures prepared by
`to_mnist`, and on the pictures merely scaled to 28 x 28 grays, as they are or
inverted where they are bright.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from benchmarks import harness
from keras_mnist_sum import Predictor
from keras_mnist_sum import load_pretrained
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.inference.pictures import to_mnist
from keras_mnist_sum.reporting.image_grids import describe_pair
from keras_mnist_sum.task import Task
from tests.fixtures.photos import make_photo

OPTIONS = {
    "data": ("auto", "as train.py takes it"),
    "count": (500, "pictures"),
    "seed": (0, "of all chance"),
    "sheet": (Path, "a PNG file for eight pictures and what was seen of them"),
}
SMOKE = {"count": 10, "data": "sample"}


def main(values: argparse.Namespace) -> None:
    mnist = load_mnist(values.data, test_only=True)
    if values.count > len(mnist.test_images):
        raise InputError(
            f"--count must be 1 to {len(mnist.test_images)}. "
            f"Received: --count {values.count}"
        )
    rng = np.random.default_rng(values.seed)
    chosen = rng.permutation(len(mnist.test_images))[: values.count]
    digits, labels = mnist.test_images[chosen], mnist.test_labels[chosen]
    numbers = rng.integers(0, 10, len(chosen))
    photos = [make_photo(digit, rng) for digit in digits]
    forms = zip(*map(_forms, photos), strict=True)
    names = ("prepared", "scaled", "scaled_and_inverted")
    images = {
        "mnist": digits,
        **dict(zip(names, map(np.stack, forms), strict=True)),
    }
    model, outputs = load_pretrained(), Task.named()
    found: dict[str, Any] = {}
    for form, array in images.items():
        answers = model.predict(model_inputs(array, numbers), verbose=0)
        found[form] = {
            name: round(
                100
                * float(
                    np.mean(
                        output.decode(answers[name])
                        == output.pair_values[labels, numbers]
                    )
                ),
                2,
            )
            for name, output in outputs.items()
        }
    found["refused"] = int((~images["prepared"].any(axis=(1, 2))).sum())
    if values.sheet:
        _draw(values.sheet, photos[:8], numbers[:8])
    report = {"seed": values.seed, "data": mnist.description}
    harness.save(values, report | {"percent_right": found})


def _forms(photo: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a photo is for the model: prepared, scaled, scaled and inverted."""
    try:
        prepared = to_mnist(photo)
    except InputError:  # It counts: a blank image is answered somehow.
        prepared = np.zeros((28, 28), "uint8")
    gray = photo.convert("L").resize((28, 28), Image.Resampling.BICUBIC)
    scaled = np.asarray(gray)
    return prepared, scaled, 255 - scaled if scaled.mean() > 127 else scaled


def _draw(path: Path, photos: list, numbers: np.ndarray) -> None:
    """Photos, what the model saw of each, and its answers."""
    answers = Predictor.load()(photos, numbers)
    figure = Figure(figsize=(12, 3.6), dpi=110, layout="constrained")
    rows = figure.subplots(2, len(photos), height_ratios=(1.4, 1))
    for top, bottom, photo, answer in zip(*rows, photos, answers, strict=True):
        top.imshow(photo)
        lines = describe_pair(answer.task, answer.values, answer.number)
        top.set_title("\n".join(lines), fontsize=9)
        bottom.imshow(answer.image, cmap="gray")
        for axes in (top, bottom):  # A border, but no ticks.
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_color("0.7")
    figure.savefig(path)
