"""Trains on arrays of your own: here, digits with their left half missing.

    python -m examples.own_data [DATA] [STEPS]

DATA is what `train.py --data` takes: what the digits are cut from.
"""

import dataclasses
import sys

import numpy as np

from keras_mnist_sum import load_mnist
from keras_mnist_sum import presets
from keras_mnist_sum import train


def without_left_half(images: np.ndarray) -> np.ndarray:
    right = np.arange(28) >= 14  # of the columns
    return images * right.astype("uint8")  # (examples, 28, 28)


def main(data: str = "auto", steps: str = "310") -> None:
    mnist = load_mnist(data)
    config = dataclasses.replace(presets.get("fast").config, steps=int(steps))
    results = train(
        config,
        "runs/right_half",
        data=(
            without_left_half(mnist.train_images),
            mnist.train_labels,
            without_left_half(mnist.test_images),
            mnist.test_labels,
        ),
    )
    print(f"sum {100 * results.accuracy['sum']:.2f} % right")


if __name__ == "__main__":
    main(*sys.argv[1:])
