"""Shared by all tests: quiet TensorFlow, and small data made on the spot."""

import atexit
import os
import tempfile

import numpy as np
import pytest

from keras_mnist_sum.utils.quiet import import_tensorflow

# One CPU, no proxy, whatever this machine has; child processes inherit this.
# test_gpu.py needs a GPU: TEST_GPU=0 names the first one.
os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("TEST_GPU", "-1")
os.environ["no_proxy"] = "*"

import_tensorflow()

# What tests decode is not the user's; the processes they start inherit this.
_cache = tempfile.TemporaryDirectory(prefix="cache-")
atexit.register(_cache.cleanup)  # Python would warn of it.
os.environ["XDG_CACHE_HOME"] = _cache.name
# A trial takes seconds; test_trial.py and test_telemetry.py have them.
os.environ["KERAS_MNIST_SUM_TRUST_MODELS"] = "1"


@pytest.fixture(scope="session")
def digits():
    """`(images, labels)`: 50 uint8 images, told apart by their labels."""
    labels = np.arange(50, dtype="uint8") % 10
    images = np.random.default_rng(0).integers(0, 80, (50, 28, 28), "uint8")
    for image, label in zip(images, labels):
        image[4 + 2 * label : 6 + 2 * label, 4:24] = 255
    return images, labels


@pytest.fixture
def npz(digits, tmp_path_factory):
    """The path of a tiny MNIST."""
    images, labels = digits
    path = tmp_path_factory.mktemp("data") / "mnist.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    return path
