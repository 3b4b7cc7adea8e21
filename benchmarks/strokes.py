"""The ten digits as a hand might draw them, and how well they are read.

    python -m benchmarks.strokes

draws each digit 100 times on the demo's canvas: 20 to 95 % of its side high,
anywhere on it, with a pen of 3 to 10 % of it, slanted, turned by up to 10
degrees and with a trembling hand.
"""

import argparse
from collections.abc import Iterable

import numpy as np
from PIL import Image
from PIL import ImageDraw

from keras_mnist_sum import Predictor
from keras_mnist_sum.demo.server import SIDE
from keras_mnist_sum.inference.pictures import strokes_to_mnist

Point = tuple[float, float]
Stroke = list[Point]


def _arc(
    x: float,
    y: float,
    width: float,
    height: float,
    start: float,
    end: float,
    n: int = 16,
) -> Stroke:
    """Points of an ellipse around `(x, y)`; degrees, clockwise from the
    right."""
    angles = np.radians(np.linspace(start, end, n))
    return [
        (x + width / 2 * np.cos(angle), y + height / 2 * np.sin(angle))
        for angle in angles
    ]


STROKES: dict[int, list[Stroke]] = {
    0: [_arc(0.5, 0.5, 0.62, 1.0, -90, 270)],
    1: [[(0.5, 0.0), (0.5, 1.0)]],
    2: [[*_arc(0.5, 0.3, 0.62, 0.6, -170, 40), (0.18, 1.0), (0.85, 1.0)]],
    3: [
        [
            *_arc(0.48, 0.25, 0.56, 0.5, -150, 90),
            *_arc(0.48, 0.75, 0.64, 0.5, -90, 150),
        ]
    ],
    4: [
        [(0.3, 0.0), (0.15, 0.6), (0.85, 0.6)],
        [(0.68, 0.1), (0.66, 1.0)],
    ],
    5: [
        [(0.25, 0.0), (0.2, 0.45), *_arc(0.45, 0.7, 0.62, 0.6, -110, 150)],
        [(0.25, 0.0), (0.8, 0.0)],
    ],
    6: [[(0.66, 0.0), (0.3, 0.45), *_arc(0.5, 0.72, 0.5, 0.56, -170, 200)]],
    7: [[(0.15, 0.0), (0.85, 0.0), (0.4, 1.0)]],
    8: [
        [
            *_arc(0.5, 0.25, 0.5, 0.5, 90, -270),
            *_arc(0.5, 0.75, 0.62, 0.5, -90, 270),
        ]
    ],
    9: [[*_arc(0.48, 0.28, 0.52, 0.56, 0, -360), (0.72, 0.3), (0.62, 1.0)]],
}


def strokes(
    digit: int, size: float = 0.7, at: Point = (0.5, 0.5)
) -> list[Stroke]:
    """The strokes of a digit, `size` high, around `at`."""
    x, y = at
    return [
        [(x + size * (a - 0.5), y + size * (b - 0.5)) for a, b in stroke]
        for stroke in STROKES[digit]
    ]


def canvas(paths: Iterable, width: float = 0.075) -> np.ndarray:
    """The ink of strokes, as the page sends it.

    Args:
        paths: Strokes; a list of points each, x and y in 0-1.
        width: Of the pen, as a part of the canvas's side.

    Returns:
        A uint8 array of shape `(256, 256)`.
    """
    side = 4 * SIDE
    image = Image.new("L", (side, side))
    pen = ImageDraw.Draw(image)
    radius = width * side / 2
    for path in paths:
        points = [(x * side, y * side) for x, y in path]
        pen.line(points, 255, round(2 * radius), joint="curve")
        for x, y in (points[0], points[-1]):
            box = (x - radius, y - radius, x + radius, y + radius)
            pen.ellipse(box, 255)
    return np.array(image.reduce(4))


def by_hand(digit: int, generator: np.random.Generator) -> np.ndarray:
    """A drawing of it like no other."""
    uniform = generator.uniform
    size = uniform(0.2, 0.95)
    at = uniform(size / 2, 1 - size / 2, 2)
    turn = np.radians(uniform(-10, 10))
    form = np.array(
        [
            [np.cos(turn), -np.sin(turn) - uniform(-0.1, 0.3)],
            [np.sin(turn), np.cos(turn)],
        ]
    )
    paths = [
        at
        + (np.array(path) @ form.T)
        + generator.normal(0, 0.012 * size, (len(path), 2))
        for path in strokes(digit, size, (0, 0))
    ]
    return canvas(paths, uniform(0.03, 0.1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="of each digit")
    values = parser.parse_args()
    predictor = Predictor.load()
    generator = np.random.default_rng(0)
    right = [
        predictor(strokes_to_mnist(by_hand(digit, generator)), 3).digit == digit
        for digit in range(10)
        for _ in range(values.count)
    ]
    print(f"{sum(right)} of {len(right)} drawings read right")
    for digit in range(10):
        part = right[digit * values.count : (digit + 1) * values.count]
        print(f"  {digit}: {sum(part)} of {len(part)}")


if __name__ == "__main__":
    main()
