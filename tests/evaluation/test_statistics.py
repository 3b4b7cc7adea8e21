"""Intervals and tests agree with what a textbook says."""

import tracemalloc

import numpy as np
import pytest

from keras_mnist_sum.evaluation.statistics import interval_over_images
from keras_mnist_sum.evaluation.statistics import paired_test


def wilson(mean, size):
    z = 1.959964
    center = mean + z**2 / (2 * size)
    half = z * np.sqrt(mean * (1 - mean) / size + z**2 / (4 * size**2))
    return (
        (center - half) / (1 + z**2 / size),
        (center + half) / (1 + z**2 / size),
    )


def test_pairs_of_an_image_count_once_where_they_go_together():
    right = np.arange(400) % 50 > 0  # 98 %
    together = np.repeat(right[:, None], 10, axis=1)
    assert interval_over_images(together) == pytest.approx(
        wilson(0.98, 399), abs=1e-5
    )


def test_pairs_of_an_image_count_each_where_they_are_independent():
    apart = np.random.default_rng(0).random((4000, 10)) < 0.9
    low, high = interval_over_images(apart)
    expected = wilson(apart.mean(), 40_000)
    assert (low, high) == pytest.approx(expected, abs=2e-4)


def test_interval_covers_the_true_accuracy_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        image = rng.random((300, 1)) < 0.97
        pair = rng.random((300, 10)) < 0.99
        low, high = interval_over_images(image & pair)
        hits += low <= 0.97 * 0.99 <= high
    assert 930 <= hits <= 970


def test_everything_right_is_not_certain_to_stay_so():
    low, high = interval_over_images(np.ones((100, 10), bool))
    assert (low, high) == pytest.approx((1 - 0.037, 1.0), abs=1e-3)


def test_single_models_are_compared_by_mcnemar():
    first, second = np.ones(100), np.ones(100)
    first[:2], second[2:12] = 0, 0
    # Of 12 that differ, 2 or fewer: (1 + 12 + 66) of 4,096, on both sides.
    assert paired_test(first, second) == pytest.approx(2 * 79 / 4096)
    assert paired_test(second, first) == pytest.approx(2 * 79 / 4096)
    assert paired_test(first, first) == 1.0


def test_equal_models_seldom_differ():
    rng = np.random.default_rng(0)
    values = [
        paired_test(
            rng.binomial(3, 0.97, 500) / 3, rng.binomial(3, 0.97, 500) / 3
        )
        for _ in range(50)
    ]
    assert sum(value < 0.05 for value in values) <= 7
    better = rng.binomial(3, 0.995, 500) / 3
    assert paired_test(better, rng.binomial(3, 0.97, 500) / 3) < 0.001


def test_many_images_are_compared_in_little_time_and_memory():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 20_000)) < 0.5
    assert 0 < paired_test(first, second) <= 1
    tracemalloc.start()
    paired_test(rng.random(20_000), rng.random(20_000))
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


@pytest.mark.parametrize("right", range(1, 10))
def test_images_with_equally_many_right_have_an_interval(right):
    """Their equal means may differ from the mean of all in its last bit."""
    correct = np.tile(np.arange(10) < right, (10_000, 1))
    low, high = interval_over_images(correct)
    assert high - low > 0.01 and low < right / 10 < high
