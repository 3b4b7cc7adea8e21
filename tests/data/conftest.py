"""Data that several tests of this folder write in a form of their own."""

import numpy as np
import pytest

from tests.data.mnist_forms import TEST
from tests.data.mnist_forms import TRAIN


@pytest.fixture
def sets():
    """`(train_images, train_labels), (test_images, test_labels)`."""
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (TRAIN + TEST, 28, 28), "uint8")
    images[:, :, :4] = images[:, :, -4:] = 0  # as MNIST has it
    labels = rng.integers(0, 10, TRAIN + TEST).astype("uint8")
    return (images[:TRAIN], labels[:TRAIN]), (images[TRAIN:], labels[TRAIN:])
