"""Keras callbacks in a run: early stopping, and one of our own.

    python -m examples.callback [DATA] [STEPS]

DATA is what `train.py --data` takes.
"""

import dataclasses
import sys

from keras_mnist_sum import presets
from keras_mnist_sum import train

import keras  # isort: skip, after what imports TensorFlow without its messages


class LogWeights(keras.callbacks.Callback):
    """Adds a column to `history.csv`: how large the weights are."""

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        weights = self.model.trainable_variables
        squares = sum(keras.ops.sum(keras.ops.square(w)) for w in weights)
        logs["weight_norm"] = float(keras.ops.sqrt(squares))


def main(data: str = "auto", steps: str = "1000") -> None:
    config = dataclasses.replace(
        presets.get("fast").config, steps=int(steps), validation_fraction=0.1
    )
    stopping = keras.callbacks.EarlyStopping("val_sum_loss", mode="min")
    results = train(config, "runs/stopped", callbacks=[stopping, LogWeights()])
    print(f"ended after step {results.steps} of {config.steps}")


if __name__ == "__main__":
    main(*sys.argv[1:])
