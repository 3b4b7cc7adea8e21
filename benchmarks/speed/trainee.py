"""A model in a process of its own: trains, and times parts of a step."""

import collections
import dataclasses
import itertools
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.speed import steps as training
from benchmarks.turns import Turn
from benchmarks.turns import timed
from keras_mnist_sum import presets
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.distribution.devices import find_devices
from keras_mnist_sum.distribution.sums import sum_over_replicas
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training.optimization import compile_model
from keras_mnist_sum.training.process import default_settings
from keras_mnist_sum.utils import environment

_CHAINED = 16  # sums in a call


def _megabytes() -> int:
    """The most memory that this process has used so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


class Trainee:
    """The default preset, ready to train.

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
            tf.config.set_logical_device_configuration(
                cpu, [tf.config.LogicalDeviceConfiguration()] * 2
            )
        self.folder, self.devices = folder, find_devices(strategy)
        config = presets.get(presets.DEFAULT).config
        precision = self.devices.precision(config.precision)
        changes = {"precision": precision, **changes}
        self.config = dataclasses.replace(config, **changes)
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
        part = self.devices.part(self.config.batch_size)
        batches = training.batches(self.mnist, self.config, part=part)
        # One for all pieces, as a run has one: it holds a copy of the images.
        self.data = self.devices.split(batches, self.config.batch_size)

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

    def fit(self, steps: int, warm: int = training.WARM) -> Turn:
        """Seconds for a step, in a piece of so many."""
        callbacks = []
        if self.folder:
            path = Path(self.folder)
            callbacks = training.checkpointing(path, self.devices, 10**9)
        return timed(
            lambda: training.seconds_of_a_step(
                self.model, self.data, steps, warm, callbacks
            )
        )

    def part(self, what: str, times: int) -> Turn:
        """Seconds for a `step` with a batch that is there already; a `vote` of
        all workers; or sums over them, of all `gradients`, as Keras has it, or
        of so many numbers, as the package has small ones."""
        if what == "step":
            run, model = self.devices.strategy.run, self.model
            step = tf.function(lambda x: run(model.train_step, (x,))["loss"])
            batch = next(iter(self.data))
            return timed(lambda: self._mean(lambda: step(batch), times))
        if what == "vote":
            vote = self.devices.all_reduce_any
            return timed(lambda: self._mean(lambda: vote([False] * 5), times))
        if what == "gradients":
            weights = self.model.trainable_variables
            values = [tf.zeros(x.shape) for x in weights]

            def add(values: Any) -> Any:
                context = tf.distribute.get_replica_context()
                return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

            sums = self._chain(add, values)
        else:
            sums = self._chain(sum_over_replicas, tf.zeros(int(what)))
        return timed(lambda: self._mean(sums, _CHAINED // 4) / _CHAINED)

    def _mean(self, work: Callable[[], Any], times: int) -> float:
        work()  # Traces.
        start = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - start) / times

    def _chain(self, add: Callable[[Any], Any], values: Any) -> Callable:
        """Adds over all replicas, many times in one call: that of a function
        takes longer than a small sum."""

        def everywhere(values: Any) -> Any:
            for _ in range(_CHAINED):  # Each waits for the one before.
                values = add(values)
            return values

        run = self.devices.strategy.run
        chain = tf.function(lambda: run(everywhere, (values,)))
        return lambda: tf.nest.flatten(chain())[0]

    def collectives(self) -> dict[str, int]:
        """Sums over all replicas in a step as `fit` has it, with those of its
        logs: small ones, and those in a ring."""
        self.model.make_train_function()

        @tf.function
        def step(batches: tf.data.Iterator) -> Any:
            return self.model.train_function(batches)

        graph = step.get_concrete_function(iter(self.data)).graph.as_graph_def()
        nodes = itertools.chain(
            graph.node, *(x.node_def for x in graph.library.function)
        )
        counts = collections.Counter(node.op for node in nodes)
        return {
            "small": counts["CollectiveGatherV2"],
            "ring": counts["CollectiveReduceV2"],
        }
