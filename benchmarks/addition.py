"""MNIST addition: numbers of many digits, learned from their sums alone.

    python -m benchmarks.addition --digits 4 --network lenet --seeds 10

For each seed, makes training examples of all training images, each used once;
trains by a fixed recipe; and scores the weights of the last step once, on
examples made of the test images. `--network lenet` trains as published work
does, `residual` as the default preset. Writes after each seed, to
`benchmarks/results/addition_NETWORK_DIGITS.json` or to `--out FILE`. A file
that is there goes on with the next seed.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum import presets
from keras_mnist_sum.commands import cli
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils import environment
from keras_mnist_sum.utils.quiet import import_tensorflow

RESULTS = Path(__file__).resolve().parent / "results"
FAILED = 90.0  # percent of digits: a run that ends below did not start


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is fixed before any test image is seen."""

    network: str
    images_or_sums: str  # what `batch_size` counts
    batch_size: int
    epochs: int
    config: dict[str, Any]  # of optimizer, schedule and warps


_RESIDUAL = presets.get("residual").config
RECIPES = {
    "lenet": Recipe("lenet", "sums", 16, 30, {}),
    "residual": Recipe("residual", "images", 128, 10, {}),
}
