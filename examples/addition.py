"""Learns digits from sums of two four-digit numbers: no digit is told.

    python -m examples.addition [DATA] [STEPS]

DATA is what `train.py --data` takes.
"""

import sys

import numpy as np

from keras_mnist_sum import load_mnist
from keras_mnist_sum.utils.quiet import import_tensorflow

import_tensorflow()
from keras_mnist_sum.models import addition  # noqa: E402


def draw(images: np.ndarray, labels: np.ndarray, count: int) -> tuple:
    """Pairs of numbers `(count, 2, 4, 28, 28, 1)`, and their sums."""
    rng = np.random.default_rng(0)
    index = rng.integers(len(images), size=(count, 2, 4))
    return images[index][..., None], addition.add_digits(labels[index])


def main(data: str = "auto", steps: str = "1000") -> None:
    mnist, count = load_mnist(data), 16 * int(steps)
    numbers, sums = draw(mnist.train_images, mnist.train_labels, count)
    model = addition.build_adder(digits=4)
    model.compile("adam", {"digits": addition.negative_log_probability})
    model.fit(numbers, {"digits": sums}, batch_size=16, verbose=2)
    model.save("adder.keras")  # `keras.saving.load_model` opens it
    numbers, sums = draw(mnist.test_images, mnist.test_labels, 500)
    found = model.predict(numbers, verbose=0)
    right = np.all(found["sum"] == sums, axis=1)
    print(f"sum {100 * right.mean():.1f} % right, {found['sum'][0]} the first")


if __name__ == "__main__":
    main(*sys.argv[1:])
