"""Training steps to time: a compiled model, batches, and pieces of `fit`."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.distribution.devices import find_devices
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training.callbacks.checkpoint import SaveCheckpoints
from keras_mnist_sum.training.optimization import compile_model
from keras_mnist_sum.training.state import RunState

WARM = 4  # The first steps of a `fit`, not timed: the buffers are still empty.


def config_of(preset: str, **changes: Any) -> Config:
    """A preset's config, in the precision that this machine would use."""
    config = dataclasses.replace(presets.get(preset).config, **changes)
    precision = find_devices("single").precision(config.precision)
    return dataclasses.replace(config, precision=precision)


def compiled(config: Config) -> keras.Model:
    return compile_model(build_model(config), config)


def batches(mnist: Mnist, config: Config, **how: Any) -> tf.data.Dataset:
    images, labels = mnist.train_images, mnist.train_labels
    return pipeline.training_dataset(images, labels, config, **how)


def seconds_of_a_step(
    model: keras.Model,
    data: tf.data.Dataset,
    steps: int,
    warm: int = WARM,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> float:
    """Calls `fit`; the mean over its steps but the first ones.

    What `fit` does at its start, such as making an iterator, takes as long as
    some steps, and is left out.

    Args:
        model: A compiled model.
        data: At least `steps` batches of `(inputs, targets)`.
        steps: How many to train, with the first ones.
        warm: How many are the first ones: at least 1, less than `steps`.
        callbacks: What `fit` calls besides; its time counts.
    """
    ends: list[float] = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    model.fit(
        data,
        steps_per_epoch=steps,
        shuffle=False,
        callbacks=[*callbacks, note],
        verbose=0,
    )
    return (ends[-1] - ends[warm - 1]) / (steps - warm)


def checkpointing(
    folder: Path, devices: Distribution, every: int
) -> list[keras.callbacks.Callback]:
    """The callbacks of a run that talk to other workers, and save a checkpoint
    `every` so many steps, for a `fit` without end."""
    state = RunState(steps=10**9, steps_per_epoch=10**9)

    def count(batch: int, logs: dict | None) -> None:
        state.step += 1

    return [
        keras.callbacks.LambdaCallback(on_train_batch_end=count),
        SaveCheckpoints(
            folder=folder,
            state=state,
            devices=devices,
            requests=StopRequests(),
            every=every,
        ),
    ]
