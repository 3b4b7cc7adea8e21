"""Finds one digit however large or small it is, and only one."""

import functools

import numpy as np
import pytest
from PIL import Image
from PIL import ImageDraw

from keras_mnist_sum import Predictor
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference.pictures import to_mnist
from tests.fixtures import pictures
from tests.fixtures.pictures import Digits

TWO = "must show one digit.* Received: two or more"


@pytest.fixture(scope="module")
def mnist():
    return load_mnist("sample", test_only=True)


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load()


def make(mnist, how, count):
    rng = np.random.default_rng(count)
    digits = Digits(mnist, rng)
    return [how(digits, rng) for _ in range(count)]


@pytest.mark.parametrize("margin", [0, 10, 20])
def test_reads_thick_digits_cut_out_tightly(mnist, predictor, margin):
    made = make(mnist, functools.partial(pictures.crop, margin), 5)
    counts = pictures.score(predictor, made)
    assert counts["right"] >= 4
    assert counts["sure"] == 0


def test_reads_a_small_digit_in_a_large_photo(mnist, predictor):
    """One in twenty is refused, as no digit or two."""
    counts = pictures.score(predictor, make(mnist, pictures.small, 20))
    assert counts["right"] >= 19
    assert counts["wrong"] == 0


def test_reads_a_digit_that_is_broken_in_two(mnist, predictor):
    counts = pictures.score(predictor, make(mnist, pictures.parts, 5))
    assert counts["right"] >= 4


def test_rejects_two_digits(mnist):
    for _, picture in make(mnist, pictures.pair, 5):
        with pytest.raises(InputError, match=TWO):
            to_mnist(picture)


def drawn(*strokes, size=(200, 200)):
    image = Image.new("L", size, 255)
    for points in strokes:
        ImageDraw.Draw(image).line(points, 0, 14, joint="curve")
    return image


@pytest.mark.parametrize(
    "picture, digit",
    [
        # A 7 with a bar that does not touch it.
        (
            drawn(
                [(50, 40), (140, 40), (100, 90)],
                [(92, 112), (70, 170)],
                [(60, 101), (130, 101)],
            ),
            7,
        ),
        # A 4 whose strokes do not meet.
        (drawn([(70, 30), (50, 110), (112, 110)], [(130, 40), (126, 170)]), 4),
        # A 5 with its bar apart.
        (
            drawn(
                [(85, 30), (150, 30)],
                [(70, 52), (64, 92), (110, 88), (136, 115), (64, 166)],
            ),
            5,
        ),
    ],
)
def test_strokes_of_one_digit_may_be_apart(predictor, picture, digit):
    assert predictor(picture, 0).digit == digit


def test_what_has_all_corners_is_the_page(predictor):
    """Though the ink has most of the edge."""
    page = np.full((280, 90), 255, "uint8")
    page[20:-20, 8:-8] = 0
    for bar in (page, 255 - page):
        assert predictor(bar, 0).digit == 1
