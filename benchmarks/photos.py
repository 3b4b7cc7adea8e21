"""How well digits are read in pictures that are not MNIST's.

    python -m benchmarks.photos [--data auto] [--count 500] [--json FILE]

Makes pictures of test digits as `make_photo` describes, draws a number for
each, and counts the right answers of the pretrained model: on the digits as
MNIST has them, on the pictures prepared by `to_mnist`, and on the pictures
merely scaled down. The committed figures are `benchmarks/results/photos.json`.
"""

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from keras_mnist_sum import task
from keras_mnist_sum.pictures import to_mnist
from keras_mnist_sum.quiet import import_tensorflow
from keras_mnist_sum.sources import load_mnist

LEAST_CONTRAST = 0.5  # distance of ink from paper, in RGB of 0-1


def make_photo(digit: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """A picture of a digit as a camera, a scanner or a program might take it.

    A page of 300-1,200 pixels a side; the digit fills 20-80 % of it somewhere,
    in ink of any colour that differs from the paper's, darker or lighter;
    paper has texture and specks, light falls unevenly and may cast a shadow,
    the camera blurs a little, adds noise and compresses. One picture in ten is
    transparent instead, with the ink in its alpha channel alone.

    Args:
        digit: uint8 array of shape `(28, 28)`, as in MNIST.
        rng: All chance comes from here.
    """
    height, width = rng.integers(300, 1201, 2)
    opacity = _written(digit, height, width, rng)  # (height, width)
    paper, ink = _colours(rng)
    if rng.random() < 0.1:
        page = np.empty((height, width, 4))
        page[...] = [*ink, 0]
        page[..., 3] = opacity
        return Image.fromarray(_bytes(page), "RGBA")
    opacity = np.maximum(opacity, _specks(height, width, rng))
    texture = _cloud(height, width, rng.uniform(2, 40), rng)
    page = paper * (1 + rng.uniform(0, 0.05) * texture[..., np.newaxis])
    page += opacity[..., np.newaxis] * (ink - page)
    page *= _light(height, width, rng)[..., np.newaxis]
    blur = rng.uniform(0, 0.003) * min(height, width)
    page = ndimage.gaussian_filter(page, (blur, blur, 0))
    page += rng.normal(0, rng.uniform(0, 0.04), page.shape)
    file = io.BytesIO()
    Image.fromarray(_bytes(page)).save(
        file, "JPEG", quality=int(rng.integers(30, 96))
    )
    return Image.open(file)


def _bytes(page: np.ndarray) -> np.ndarray:
    return np.rint(255 * page.clip(0, 1)).astype("uint8")


def _written(
    digit: np.ndarray, height: int, width: int, rng: np.random.Generator
) -> np.ndarray:
    """Opacity of the ink, 0-1: the digit enlarged, with the edge of a pen."""
    rows, columns = np.nonzero(digit)
    box = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    size = rng.uniform(0.2, 0.8) * min(height, width)
    box = np.pad(box, 2) / np.float32(255)
    scale = size / max(box.shape)
    shape = [max(1, round(side * scale)) for side in box.shape[::-1]]
    large = np.asarray(Image.fromarray(box).resize(shape, Image.BICUBIC))
    large = ((large - 0.5) * rng.uniform(1.5, 6) + 0.5).clip(0, 1)
    opacity = np.zeros((height, width))
    top = rng.integers(0, height - large.shape[0] + 1)
    left = rng.integers(0, width - large.shape[1] + 1)
    opacity[top:, left:][: large.shape[0], : large.shape[1]] = large
    return opacity


def _colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Paper and ink, RGB of 0-1: dark on light twice as often as the other."""
    while True:
        dark, light = sorted(rng.uniform(0, 1, (2, 3)), key=np.mean)
        if np.linalg.norm(light - dark) > LEAST_CONTRAST:
            return (light, dark) if rng.random() < 2 / 3 else (dark, light)


def _cloud(
    height: int, width: int, grain: float, rng: np.random.Generator
) -> np.ndarray:
    """Smooth noise of deviation 1, with spots of about `grain` pixels."""
    coarse = rng.normal(
        size=(max(2, int(height / grain)), max(2, int(width / grain)))
    )
    picture = Image.fromarray(coarse.astype("float32"))
    return np.asarray(picture.resize((width, height), Image.BICUBIC))


def _specks(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Opacity of up to 20 dots, each of at most 1 % of the page's side."""
    rows, columns = np.indices((height, width), sparse=True)
    opacity = np.zeros((height, width))
    for _ in range(rng.integers(0, 21)):
        radius = rng.uniform(0.001, 0.005) * min(height, width) + 0.5
        row, column = rng.uniform(0, height), rng.uniform(0, width)
        distance = np.hypot(rows - row, columns - column)
        dot = rng.uniform(0.3, 1) * (radius + 0.5 - distance).clip(0, 1)
        opacity = np.maximum(opacity, dot)
    return opacity


def _light(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Brightness of the light, up to 1: a slope, dark corners, a shadow."""
    y, x = np.meshgrid(
        np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"
    )

    def across() -> np.ndarray:
        angle = rng.uniform(0, 2 * np.pi)
        return x * np.cos(angle) + y * np.sin(angle)

    light = 1 - rng.uniform(0, 0.25) * (1 + across())
    light *= 1 - rng.uniform(0, 0.2) * (x**2 + y**2)
    if rng.random() < 0.3:  # a shadow, its edge sharp or soft
        edge = (across() - rng.uniform(-0.8, 0.8)) / rng.uniform(0.01, 0.5)
        light *= 1 - rng.uniform(0.1, 0.5) / (1 + np.exp(-4 * edge))
    return light
