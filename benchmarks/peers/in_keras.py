"""The competitors of `peers` in Keras: ours, and two others.

Each trains in one call of `train` or of `fit`; a callback waits, in between,
for the next turn.
"""

import dataclasses
import gc
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.peers.competitors import OURS
from benchmarks.peers.competitors import PairPredictor
from benchmarks.peers.competitors import Turns
from keras_mnist_sum import presets
from keras_mnist_sum.data import augmentation
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.evaluation.evaluate import pair_predictor_of_model
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.training import train as training

# Adam's rate by epoch, as the log of hard_argmax has it: lowered where the loss
# of the held-out images had stalled.
RATES = (
    *(9 * [1e-3] + 8 * [3e-4] + 9 * [9e-5] + 4 * [2.7e-5]),
    *(2 * [8.1e-6] + [2.43e-6]),
)


def train(
    name: str, data: dict[str, np.ndarray], path: Path, seed: int, turns: Turns
) -> None:
    if name in OURS:
        train_ours(name, len(data["x_train"]), path, seed, turns)
        return
    keras.utils.set_random_seed(seed)
    # Of how many images one is held out.
    trainer, part = {
        "hard_argmax": (train_hard_argmax, 5),
        "mnist_convnet": (train_mnist_convnet, 10),
    }[name]
    count = len(data["x_train"]) * (part - 1) // part
    images = data["x_train"][:count, ..., np.newaxis]
    trainer(images, data["y_train"][:count], seed, turns)


class Wait(keras.callbacks.Callback):
    """Waits for its turns in `fit`, with batches of 128 of so many images."""

    def __init__(self, turns: Turns, images: int) -> None:
        super().__init__()
        self.turns, self.images, self.done = turns, images, 0

    def begin(self, steps: int, epochs: float, precision: str) -> None:
        self.turns.begin(
            steps,
            lambda: pair_predictor(self.model),
            parameters=self.model.count_params(),
            precision=precision,
            epochs=epochs,
            images_in_an_epoch=self.images,
        )

    def on_train_begin(self, logs: Any = None) -> None:
        epochs, steps = self.params["epochs"], self.params["steps"]
        self.begin(epochs * steps, epochs, "float32")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.done += 1
        epoch, steps = divmod(self.done, self.params["steps"])
        self.turns.step(self.done, epoch * self.images + steps * 128)


def train_ours(
    name: str, images: int, path: Path, seed: int, turns: Turns
) -> None:
    """A preset by `train`, as train.py calls it.

    After the last turn nothing is exported or drawn: the process ends. The
    run's folder lies beside the data in `path`.
    """
    config = presets.get(name).config
    steps, size = 6 if turns.smoke else config.steps, config.batch_size
    config = dataclasses.replace(config, data=str(path), seed=seed, steps=steps)
    images -= round(images * config.validation_fraction)
    run_dir = path.parent / f"{name}-{seed}"

    class WaitInRun(Wait):
        def on_train_begin(self, logs: Any = None) -> None:
            precision = Run(run_dir).read_config().precision
            self.begin(steps, round(steps * size / images, 2), precision)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.done += 1
            if self.done < steps:
                self.turns.step(self.done, self.done * size)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if self.done == steps:  # Validation is on the clock.
                self.turns.step(steps, steps * size)

    # Waiting is not training: a checkpoint that would be due every 30 seconds
    # is due after the steps that take about as long.
    how: dict[str, Any] = {"checkpoint_every": 700, "verbose": 0}
    training.train(config, run_dir, callbacks=[WaitInRun(turns, images)], **how)


def hard_argmax() -> keras.Model:
    """The most likely digit, one-hot, and the number, through an MLP."""
    layers = keras.layers

    def normalized(x: keras.KerasTensor) -> keras.KerasTensor:
        return layers.ReLU()(layers.BatchNormalization()(x))

    image = keras.Input((28, 28, 1), name="image")
    number = keras.Input((10,), name="number")
    x = image
    for filters, size in ((32, 5), (64, 3)):
        x = layers.Conv2D(filters, size, activation="relu")(x)
        x = normalized(layers.Conv2D(filters, size)(x))
        x = layers.Dropout(0.25)(layers.MaxPooling2D()(x))
    x = layers.Flatten()(x)
    x = layers.Dropout(0.25)(normalized(layers.Dense(256)(x)))
    x = normalized(layers.Dense(128)(x))
    x = layers.Dropout(0.25)(normalized(layers.Dense(128)(x)))
    digit = layers.Dense(10, activation="softmax", name="digit")(x)
    answer = keras.ops.one_hot(keras.ops.argmax(digit, axis=-1), 10)
    x = layers.Concatenate()([number, answer])
    for units in (64, 128, 256, 64, 38):
        x = normalized(layers.Dense(units)(x))
    total = layers.Dense(19, activation="softmax", name="sum")(x)
    inputs = {"image": image, "number": number}
    return keras.Model(inputs, {"digit": digit, "sum": total})


def train_hard_argmax(
    images: np.ndarray, labels: np.ndarray, seed: int, turns: Turns
) -> None:
    pixels, digits = tf.constant(images), tf.constant(labels, tf.int32)
    # Drawn once and for all.
    numbers = tf.random.uniform((len(images),), 0, 10, tf.int32)

    def batch(index: tf.Tensor) -> tuple[dict, dict]:
        warped = augmentation.random_affine(
            tf.cast(tf.gather(pixels, index), tf.float32) / 255,
            tf.random.uniform((2,), maxval=2**31 - 1, dtype=tf.int32),
            rotation=math.radians(5),
            scale=0.05,
            shift=0.05 * 28,
        )
        digit, number = tf.gather(digits, index), tf.gather(numbers, index)
        inputs = {"image": warped, "number": tf.one_hot(number, 10)}
        return inputs, {"digit": digit, "sum": digit + number}

    model = hard_argmax()
    model.compile("adam", loss="sparse_categorical_crossentropy")
    rates = keras.callbacks.LearningRateScheduler(lambda epoch: RATES[epoch])
    model.fit(
        shuffled(len(images), seed, batch),
        shuffle=False,
        epochs=1 if turns.smoke else len(RATES),
        callbacks=[rates, Wait(turns, len(images))],
        verbose=0,
    )


def shuffled(count: int, seed: int, batch: Callable) -> tf.data.Dataset:
    """Batches of 128 of `count` examples, in an order of its own each epoch;
    `batch` makes `(inputs, targets)` of indices."""
    dataset = tf.data.Dataset.range(count).shuffle(count, seed).batch(128)
    dataset = dataset.map(batch, num_parallel_calls=2).prefetch(4)
    # One that waits for its turns has old iterators.
    return pipeline.without_autotuning(dataset)


def mnist_convnet() -> keras.Model:
    """3x3 convolutions of 32 and 64 channels, dropout: the digit alone."""
    layers = keras.layers
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 3, activation="relu")(image)
    x = layers.Conv2D(64, 3, activation="relu")(layers.MaxPooling2D()(x))
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dropout(0.5)(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def train_mnist_convnet(
    images: np.ndarray, labels: np.ndarray, seed: int, turns: Turns
) -> None:
    pixels = tf.constant(images.astype("float32") / 255)
    targets = keras.utils.to_categorical(labels, 10)
    model = mnist_convnet()
    model.compile("adam", loss="categorical_crossentropy")
    model.fit(
        shuffled(
            len(images),
            seed,
            lambda x: (tf.gather(pixels, x), tf.gather(targets, x)),
        ),
        shuffle=False,
        epochs=1 if turns.smoke else 15,
        callbacks=[Wait(turns, len(images))],
        verbose=0,
    )


def pair_predictor(model: keras.Model) -> PairPredictor:
    """Predicts with the weights that `model` has now, in float32."""
    gc.collect()  # The copy before, whose graphs refer to each other.
    model = copy_model(model, "float32")

    def digits(images: np.ndarray) -> dict[str, np.ndarray]:
        return {"digit": model.predict_on_batch(images)[:, np.newaxis]}

    several = isinstance(model.output, dict)
    predict = pair_predictor_of_model(model) if several else digits
    return lambda images: predict(images[..., np.newaxis] / np.float32(255))
