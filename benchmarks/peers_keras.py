"""The competitors of `benchmarks.peers` in Keras: ours, and two others.

Each trains in one call of `train` or of `fit`; a callback waits, in between,
for the next turn.
"""

import dataclasses
import gc
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers_worker import COMPETITORS
from benchmarks.peers_worker import PairPredictor
from benchmarks.peers_worker import Turns
from keras_mnist_sum import presets
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.utils.quiet import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from keras_mnist_sum.data import augmentation  # noqa: E402
from keras_mnist_sum.data import pipeline  # noqa: E402
from keras_mnist_sum.evaluation.evaluate import pair_predictor_of_model  # noqa: E402
from keras_mnist_sum.models.build import copy_model  # noqa: E402
from keras_mnist_sum.training import train as training  # noqa: E402


def train(
    name: str, data: dict[str, np.ndarray], path: Path, seed: int, turns: Turns
) -> None:
    if COMPETITORS[name].ours:
        train_ours(name, len(data["x_train"]), path, seed, turns)
    elif name == "hard_argmax":
        train_hard_argmax(data, seed, turns)
    else:
        train_mnist_convnet(data, seed, turns)


def train_ours(
    name: str, images: int, path: Path, seed: int, turns: Turns
) -> None:
    """A preset by `train`, as train.py calls it.

    After the last turn nothing is exported or drawn: the process ends. The
    run's folder lies beside the data in `path`.
    """
    config = dataclasses.replace(
        presets.get(name).config, data=str(path), seed=seed
    )
    if turns.smoke:
        config = dataclasses.replace(config, steps=6)
    images -= round(images * config.validation_fraction)
    run_dir = path.parent / f"{name}-{seed}"

    class Waiting(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.step = 0

        def on_train_begin(self, logs: Any = None) -> None:
            turns.begin(
                config.steps,
                lambda: pair_predictor(self.model),
                **facts(self.model),
                precision=Run(run_dir).read_config().precision,
                epochs=round(config.steps * config.batch_size / images, 2),
                batch_size=config.batch_size,
                images_in_an_epoch=images,
            )

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.step += 1
            if self.step < config.steps:
                turns.step(self.step, self.step * config.batch_size)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if self.step == config.steps:
                turns.step(self.step, self.step * config.batch_size)

    # Waiting is not training: a checkpoint that would be due every 30 seconds
    # is due after the steps that take about as long.
    training.train(
        config,
        run_dir,
        callbacks=[Waiting()],
        checkpoint_every=700,
        verbose=0,
    )


class WaitInFit(keras.callbacks.Callback):
    """Waits for its turns in `fit`."""

    def __init__(self, turns: Turns, images: int, batch_size: int) -> None:
        super().__init__()
        self.turns, self.images, self.batch_size = turns, images, batch_size
        self.done = 0

    def on_train_begin(self, logs: Any = None) -> None:
        epochs, steps = self.params["epochs"], self.params["steps"]
        self.turns.begin(
            epochs * steps,
            lambda: pair_predictor(self.model),
            **facts(self.model),
            precision="float32",
            epochs=epochs,
            batch_size=self.batch_size,
            images_in_an_epoch=self.images,
        )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.done += 1
        epoch, steps = divmod(self.done, self.params["steps"])
        seen = epoch * self.images + steps * self.batch_size
        self.turns.step(self.done, seen)


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
    return keras.Model(
        {"image": image, "number": number}, {"digit": digit, "sum": total}
    )


# Adam's rate by epoch, as the published log has it: lowered where the loss of
# the held-out images had stalled.
RATES = (
    *(9 * [1e-3] + 8 * [3e-4] + 9 * [9e-5] + 4 * [2.7e-5]),
    *(2 * [8.1e-6] + [2.43e-6]),
)


def train_hard_argmax(data: dict, seed: int, turns: Turns) -> None:
    keras.utils.set_random_seed(seed)
    count = len(data["x_train"]) * 4 // 5  # The rest is held out.
    images = tf.constant(data["x_train"][:count, ..., np.newaxis])
    labels = tf.constant(data["y_train"][:count], tf.int32)
    numbers = tf.random.uniform((count,), 0, 10, tf.int32)  # once and for all

    def batch(index: tf.Tensor) -> tuple[dict, dict]:
        warped = augmentation.random_affine(
            tf.cast(tf.gather(images, index), tf.float32) / 255,
            tf.random.uniform((2,), maxval=2**31 - 1, dtype=tf.int32),
            rotation=math.radians(5),
            scale=0.05,
            shift=0.05 * 28,
        )
        digit, number = tf.gather(labels, index), tf.gather(numbers, index)
        inputs = {"image": warped, "number": tf.one_hot(number, 10)}
        return inputs, {"digit": digit, "sum": digit + number}

    model = hard_argmax()
    model.compile("adam", loss="sparse_categorical_crossentropy")
    model.fit(
        shuffled(count, seed, batch),
        shuffle=False,
        epochs=1 if turns.smoke else len(RATES),
        callbacks=[
            keras.callbacks.LearningRateScheduler(lambda epoch: RATES[epoch]),
            WaitInFit(turns, count, 128),
        ],
        verbose=0,
    )


def shuffled(count: int, seed: int, batch: Callable) -> tf.data.Dataset:
    """Batches of 128 of `count` examples, in an order of its own each epoch.

    Args:
        count: Number of examples.
        seed: Decides the order.
        batch: From indices to `(inputs, targets)`.
    """
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


def train_mnist_convnet(data: dict, seed: int, turns: Turns) -> None:
    keras.utils.set_random_seed(seed)
    count = len(data["x_train"]) * 9 // 10  # The rest is held out.
    images = data["x_train"][:count, ..., np.newaxis].astype("float32") / 255
    images = tf.constant(images)
    labels = keras.utils.to_categorical(data["y_train"][:count], 10)
    model = mnist_convnet()
    model.compile("adam", loss="categorical_crossentropy")
    model.fit(
        shuffled(
            count, seed, lambda x: (tf.gather(images, x), tf.gather(labels, x))
        ),
        shuffle=False,
        epochs=1 if turns.smoke else 15,
        callbacks=[WaitInFit(turns, count, 128)],
        verbose=0,
    )


def facts(model: keras.Model) -> dict:
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    return {"parameters": model.count_params(), "threads": threads or "all"}


def pair_predictor(model: keras.Model) -> PairPredictor:
    """Predicts with the weights that `model` has now, in float32."""
    predict: Callable
    gc.collect()  # The copy before, whose graphs refer to each other.
    model = copy_model(model, "float32")
    if isinstance(model.output, dict):
        predict = pair_predictor_of_model(model)
    else:

        def predict(images: np.ndarray) -> dict[str, np.ndarray]:
            return {"digit": model.predict_on_batch(images)[:, np.newaxis]}

    return lambda images: predict(images[..., np.newaxis] / np.float32(255))
