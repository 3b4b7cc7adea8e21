"""How well digits are read in pictures that are not MNIST's.

    python -m benchmarks.photos [--data auto] [--count 500] [--json FILE]
                                [--sheet FILE]

Makes pictures of test digits as `make_photo` describes, draws a number for
each, and counts the right answers of the pretrained model: on the digits as
MNIST has them, on the pictures prepared by `to_mnist`, and on the pictures
merely scaled to 28 x 28 grays, as they are or inverted where they are bright.
`--sheet` draws the first eight, what the model saw of them, and its answers.
"""

import argparse
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from PIL.Image import Resampling
from scipy import ndimage

from keras_mnist_sum import Predictor
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.inference.pictures import to_mnist
from keras_mnist_sum.reporting.image_grids import describe_pair
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.quiet import import_tensorflow

if TYPE_CHECKING:
    import keras

LEAST_CONTRAST = 0.5  # distance of ink from paper, in RGB of 0-1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="auto", help="as of train.py")
    parser.add_argument("--count", type=int, default=500, help="pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--sheet", type=Path, help="the PNG file to draw")
    arguments = parser.parse_args()
    import_tensorflow()
    from keras_mnist_sum import load_pretrained
    from keras_mnist_sum.utils import environment

    mnist = load_mnist(arguments.data, test_only=True)
    if not 1 <= arguments.count <= len(mnist.test_images):
        parser.error(f"--count must be 1 to {len(mnist.test_images)}")
    rng = np.random.default_rng(arguments.seed)
    chosen = rng.permutation(len(mnist.test_images))[: arguments.count]
    digits, labels = mnist.test_images[chosen], mnist.test_labels[chosen]
    numbers = rng.integers(0, NUM_DIGITS, arguments.count)
    images = {"mnist": digits}
    names = ("prepared", "scaled", "scaled_and_inverted")
    forms = [_forms(make_photo(digit, rng)) for digit in digits]
    for index, name in enumerate(names):
        images[name] = np.stack([form[index] for form in forms])
    model = load_pretrained()
    accuracy: dict[str, Any] = {
        name: _accuracy(model, x, labels, numbers) for name, x in images.items()
    }
    accuracy["refused"] = int((~images["prepared"].any(axis=(1, 2))).sum())
    for name, value in accuracy.items():
        print(name, value)
    if arguments.sheet:
        rng = np.random.default_rng(arguments.seed + 1)
        photos = [make_photo(digit, rng) for digit in digits[:8]]
        _draw(arguments.sheet, photos, numbers[:8])
    if arguments.json:
        facts = environment.facts()
        report = {
            "command": f"python -m benchmarks.photos --data {mnist.source} "
            f"--count {arguments.count} --seed {arguments.seed}",
            "n": arguments.count,
            "seed": arguments.seed,
            "data": mnist.description,
            "percent_right": accuracy,
            "environment": facts,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


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


def _forms(photo: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a photo is for the model: prepared, scaled, scaled and inverted."""
    try:
        prepared = to_mnist(photo)
    except InputError:  # It counts: a blank image is answered somehow.
        prepared = np.zeros(IMAGE_SHAPE[:2], "uint8")
    size = IMAGE_SHAPE[:2]
    scaled = np.asarray(photo.convert("L").resize(size, Resampling.BICUBIC))
    return prepared, scaled, 255 - scaled if scaled.mean() > 127 else scaled


def _accuracy(
    model: "keras.Model",
    images: np.ndarray,
    labels: np.ndarray,
    numbers: np.ndarray,
) -> dict[str, float]:
    answers = model.predict(model_inputs(images, numbers), verbose=0)
    right = {}
    for name, output in Task.named().items():
        found = output.decode(answers[name])
        right[name] = found == output.pair_values[labels, numbers]
    return {name: round(100 * float(x.mean()), 2) for name, x in right.items()}


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
    texture = cloud(height, width, rng.uniform(2, 40), rng)
    page = paper * (1 + rng.uniform(0, 0.05) * texture[..., np.newaxis])
    page += opacity[..., np.newaxis] * (ink - page)
    page *= light_on(height, width, rng)[..., np.newaxis]
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
    large = np.asarray(Image.fromarray(box).resize(shape, Resampling.BICUBIC))
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


def cloud(
    height: int, width: int, grain: float, rng: np.random.Generator
) -> np.ndarray:
    """Smooth noise of deviation 1, with spots of about `grain` pixels."""
    coarse = rng.normal(
        size=(max(2, int(height / grain)), max(2, int(width / grain)))
    )
    picture = Image.fromarray(coarse.astype("float32"))
    return np.asarray(picture.resize((width, height), Resampling.BICUBIC))


def _specks(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Opacity of up to 20 dots, each of at most 1 % of the page's side."""
    opacity = np.zeros((height, width))
    for _ in range(rng.integers(0, 21)):
        radius = rng.uniform(0.001, 0.005) * min(height, width) + 0.5
        row, column = rng.uniform(0, height), rng.uniform(0, width)
        top, left = (int(max(x - radius - 1, 0)) for x in (row, column))
        there = opacity[top : int(row + radius) + 2][
            :, left : int(column + radius) + 2
        ]
        rows, columns = np.ogrid[: there.shape[0], : there.shape[1]]
        distance = np.hypot(top + rows - row, left + columns - column)
        dot = rng.uniform(0.3, 1) * (radius + 0.5 - distance).clip(0, 1)
        np.maximum(there, dot, out=there)
    return opacity


def light_on(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
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


if __name__ == "__main__":
    main()
