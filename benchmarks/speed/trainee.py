"""Training to time: models, batches, and pieces of `fit`."""

import dataclasses
import resource
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.turns import Turn
from benchmarks.turns import timed
from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.distribution.devices import find_devices
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.distribution.sums import sum_over_replicas
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training.callbacks.checkpoint import SaveCheckpoints
from keras_mnist_sum.training.optimization import compile_model
from keras_mnist_sum.training.process import default_settings
from keras_mnist_sum.training.state import RunState
from keras_mnist_sum.utils import environment

WARM = 4  # The first steps of a `fit`, not timed: the buffers are still empty.
_CHAINED = 16  # sums in a call


def config_of(
    preset: str, devices: Distribution | None = None, **changes: Any
) -> Config:
    """A preset's config, in the precision that the devices would use."""
    config = dataclasses.replace(presets.get(preset).config, **changes)
    devices = devices or find_devices("single")
    precision = devices.precision(config.precision)
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
    """Calls `fit`; the mean over its steps but the first `warm` ones.

    What `fit` does at its start, such as making an iterator, takes as long as
    some steps, and is left out.
    """
    ends: list[float] = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    how = {"steps_per_epoch": steps, "shuffle": False, "verbose": 0}
    model.fit(data, callbacks=[*callbacks, note], **how)
    return (ends[-1] - ends[warm - 1]) / (steps - warm)


def checkpointing(
    folder: str, devices: Distribution, every: int
) -> list[keras.callbacks.Callback]:
    """The callbacks of a run that talk to other workers, and save a checkpoint
    `every` so many steps, for calls of `fit` without end."""
    state = RunState(steps=10**9, steps_per_epoch=10**9)

    def count(batch: int, logs: dict | None) -> None:
        state.step += 1

    save = SaveCheckpoints(
        folder=Path(folder),
        state=state,
        devices=devices,
        requests=StopRequests(),
        every=every,
    )
    return [keras.callbacks.LambdaCallback(on_train_batch_end=count), save]


def _megabytes() -> int:
    """The most memory that this process has used so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


class Trainee:
    """The default preset, ready to train in a `Worker`.

    Args:
        data: As train.py takes it.
        changes: Fields of the config.
        strategy: The devices, as `find_devices` has them; `mirrored` makes two
            of one processor.
        folder: Where it would write checkpoints, if it trains as a run does.
    """

    def __init__(
        self,
        data: str,
        changes: dict[str, Any],
        strategy: str = "single",
        folder: str = "",
    ) -> None:
        self.memory = {"TensorFlow": _megabytes()}
        if strategy == "mirrored":
            [cpu] = tf.config.list_physical_devices("CPU")
            two = [tf.config.LogicalDeviceConfiguration()] * 2
            tf.config.set_logical_device_configuration(cpu, two)
        self.devices = find_devices(strategy)
        self.config = config_of(presets.DEFAULT, self.devices, **changes)
        self.mnist = load_mnist(data)
        self.memory["images"] = _megabytes()
        # As in a run.
        self._settings = default_settings()
        self._settings.__enter__()
        tf.config.experimental.enable_op_determinism()
        with self.devices.strategy.scope():
            self.model = self.devices.adapt(build_model(self.config))
            compile_model(self.model, self.config)
        self.memory["model"] = _megabytes()
        size = self.config.batch_size
        part = batches(self.mnist, self.config, part=self.devices.part(size))
        # One for all pieces, as a run has one: it holds a copy of the images.
        self.data = self.devices.split(part, size)
        self.callbacks = (
            checkpointing(folder, self.devices, 10**9) if folder else []
        )

    def facts(self) -> dict[str, Any]:
        weights = self.model.trainable_variables
        return {
            "parameters": self.model.count_params(),
            "precision": self.config.precision,
            "megabytes": {**self.memory, "training": _megabytes()},
            "megabytes_of_gradients": sum(
                np.prod(x.shape) * 4e-6 for x in weights
            ),
            "environment": environment.facts(self.devices.replicas),
        }

    def fit(self, steps: int, warm: int = WARM) -> Turn:
        """Seconds for a step, in a piece of so many."""
        return timed(
            lambda: seconds_of_a_step(
                self.model, self.data, steps, warm, self.callbacks
            )
        )

    def part(self, what: str, times: int) -> Turn:
        """Seconds for a `vote` of all workers; or for a sum over them, of all
        `gradients`, as Keras has it, or of `1 kB`, as the package has it."""
        if what == "vote":
            vote = self.devices.all_reduce_any
            return timed(lambda: _mean(lambda: vote([False] * 5), times))
        if what == "gradients":
            weights = self.model.trainable_variables
            values: Any = [tf.zeros(x.shape) for x in weights]

            def add(values: Any) -> Any:
                context = tf.distribute.get_replica_context()
                return context.all_reduce(tf.distribute.ReduceOp.SUM, values)
        else:
            values, add = tf.zeros(256), sum_over_replicas

        def everywhere() -> Any:
            found = values
            for _ in range(_CHAINED):  # Each waits for the one before.
                found = add(found)
            return found

        # In one call: that of a function takes longer than a small sum.
        run = self.devices.strategy.run
        chain = tf.function(lambda: run(everywhere))
        return timed(lambda: _mean(chain, _CHAINED // 4) / _CHAINED)


def _mean(work: Callable[[], Any], times: int) -> float:
    work()  # Traces.
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times
