"""Shared by the tests of training."""

import pytest

from keras_mnist_sum.config import Config


@pytest.fixture
def config(npz):
    """40 images, 5 steps an epoch, the last epoch shorter."""
    return Config(
        data=str(npz),
        backbone="small",
        width=2,
        steps=12,
        batch_size=8,
        validation_fraction=0.2,
    )
