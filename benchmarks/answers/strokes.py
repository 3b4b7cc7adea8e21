"""How many drawings of the demo's sheet are read right.

Draws each digit on the canvas: 20 to 95 % of its side high, anywhere on it,
with a pen of 3 to 10 % of it, slanted, turned by up to 10 degrees and with a
trembling hand.
"""

import argparse

import numpy as np

from benchmarks import harness
from keras_mnist_sum import Predictor
from keras_mnist_sum.inference.pictures import strokes_to_mnist
from tests.fixtures.strokes import by_hand

OPTIONS = {"count": (100, "drawings of each digit")}
SMOKE = {"count": 2}


def main(values: argparse.Namespace) -> None:
    predictor, rng = Predictor.load(), np.random.default_rng(0)
    right = {
        digit: sum(
            predictor(strokes_to_mnist(by_hand(digit, rng)), 3).digit == digit
            for _ in range(values.count)
        )
        for digit in range(10)
    }
    harness.save(values, {"right": {**right, "all": sum(right.values())}})
