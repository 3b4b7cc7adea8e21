"""Goes on from the pretrained model, to read digits that lie on their side.

    python -m examples.fine_tune [DATA] [STEPS]

DATA is what `train.py --data` takes.
"""

import dataclasses
import sys

import numpy as np

from keras_mnist_sum import load_mnist
from keras_mnist_sum import load_pretrained
from keras_mnist_sum import presets
from keras_mnist_sum import train


def main(data: str = "auto", steps: str = "200") -> None:
    mnist = load_mnist(data)
    config = dataclasses.replace(
        presets.get("residual").config, steps=int(steps), learning_rate=0.001
    )
    results = train(
        config,
        "runs/on_their_side",
        model=load_pretrained(),  # it stays as it is: a copy is trained
        data=(
            np.rot90(mnist.train_images, axes=(1, 2)),
            mnist.train_labels,
            np.rot90(mnist.test_images, axes=(1, 2)),
            mnist.test_labels,
        ),
    )
    print(f"sum {100 * results.accuracy['sum']:.2f} % right")


if __name__ == "__main__":
    main(*sys.argv[1:])
