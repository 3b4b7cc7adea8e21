"""Trains a model, and reads what came out.

    python -m examples.train [DATA] [STEPS]

DATA is what `train.py --data` takes. Called again after an interruption, it
goes on where it stopped.
"""

import dataclasses
import sys

import numpy as np

from keras_mnist_sum import load_mnist
from keras_mnist_sum import load_model
from keras_mnist_sum import presets
from keras_mnist_sum import train


def main(data: str = "auto", steps: str = "310") -> None:
    config = presets.get("fast").config
    config = dataclasses.replace(config, data=data, steps=int(steps), seed=1)
    results = train(config, "runs/first")
    print(f"sum {100 * results.accuracy['sum']:.2f} % right on the test set")

    model = load_model("runs/first/model.keras")
    model.summary()
    images = load_mnist(data).test_images[:3, ..., None]  # (3, 28, 28, 1)
    numbers = np.eye(10)[[3, 4, 5]]  # one-hot, (3, 10)
    answers = model.predict({"image": images, "number": numbers}, verbose=0)
    for name, probabilities in answers.items():
        print(name, probabilities.argmax(axis=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
