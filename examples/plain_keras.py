"""The model, the data and the losses, with Keras's own `fit` around them.

    python -m examples.plain_keras [DATA] [STEPS]

DATA is what `train.py --data` takes.
"""

import dataclasses
import sys

from keras_mnist_sum import build_model
from keras_mnist_sum import compile_model
from keras_mnist_sum import evaluate
from keras_mnist_sum import load_mnist
from keras_mnist_sum import presets
from keras_mnist_sum import training_dataset


def main(data: str = "auto", steps: str = "310") -> None:
    config = dataclasses.replace(presets.get("fast").config, steps=int(steps))
    mnist = load_mnist(data)

    model = compile_model(build_model(config), config)
    model.summary()
    model.fit(
        training_dataset(mnist.train_images, mnist.train_labels, config),
        shuffle=False,  # it draws its own order
        verbose=2,
    )
    print(evaluate(model, mnist).table())
    model.save("plain.keras")


if __name__ == "__main__":
    main(*sys.argv[1:])
