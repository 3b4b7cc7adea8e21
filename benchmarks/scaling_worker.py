"""A process of `benchmarks.scaling`: trains, and times parts of a step."""

import dataclasses
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.timing import checkpointing
from benchmarks.timing import seconds_of_a_step
from keras_mnist_sum import presets
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.distribution.devices import find_devices
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training.optimization import compile_model
from keras_mnist_sum.utils import environment

_CHAINED = 16  # sums in a call


class Worker:
    """The default preset on some devices, ready to train."""

    def __init__(
        self, strategy: str, batch_size: int, steps: int, folder: Path
    ) -> None:
        folder.mkdir()
        self.folder, self.steps = folder, steps
        config = presets.get(presets.DEFAULT).config
        self.devices = find_devices(strategy)
        self.config = dataclasses.replace(
            config,
            batch_size=batch_size,
            precision=self.devices.precision(config.precision),
        )
        tf.config.experimental.enable_op_determinism()  # As in a run.
        mnist = load_mnist("sample")
        data = pipeline.training_dataset(
            mnist.train_images,
            mnist.train_labels,
            self.config,
            part=self.devices.part(batch_size),
        )
        with self.devices.strategy.scope():
            self.model = self.devices.adapt(build_model(self.config))
            compile_model(self.model, self.config)
        self.shares = self.devices.split(data, batch_size)
        self.batch = next(iter(self.shares))
        run, model = self.devices.strategy.run, self.model
        self.step = tf.function(lambda x: run(model.train_step, (x,))["loss"])

    def do(self, what: str) -> Any:
        """Does what `benchmarks.scaling` asks for.

        Returns:
            Seconds a step, a number of operations, or facts.
        """
        name, _, size = what.partition(" ")
        if name == "environment":
            return environment.facts(self.devices.replicas)
        if name == "precision":
            return self.config.precision
        if name == "collectives":
            return self._count_collectives()
        if name == "megabytes":
            weights = self.model.trainable_variables
            return str(4e-6 * sum(int(np.prod(x.shape)) for x in weights))
        if name == "fit":
            return self._fit()
        if name == "step":  # With a batch that is there already.
            return self._time(lambda: self.step(self.batch))
        if name == "vote":
            return self._time(lambda: self.devices.all_reduce_any([False] * 4))
        variables = self.model.trainable_variables
        shapes = [x.shape for x in variables] if not size else [(int(size),)]
        return self._time(self._sums(shapes), _CHAINED // 4) / _CHAINED

    def _fit(self) -> float:
        """As `train` does it."""
        callbacks = checkpointing(self.folder, self.devices, every=10**9)
        return seconds_of_a_step(
            self.model, self.shares, self.steps, 1, callbacks
        )

    def _time(self, work: Callable[[], Any], times: int | None = None) -> float:
        times = times or self.steps
        work()  # Traces.
        start = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - start) / times

    def _sums(self, shapes: list) -> Callable[[], Any]:
        """Adds tensors of these shapes over all replicas, many times in one
        call: that of a function takes longer than a small sum."""

        def everywhere() -> Any:
            context = tf.distribute.get_replica_context()
            values = [tf.zeros(x) for x in shapes]
            for _ in range(_CHAINED):  # Each waits for the one before.
                values = context.all_reduce(tf.distribute.ReduceOp.SUM, values)
            return values

        run = tf.function(lambda: self.devices.strategy.run(everywhere))
        return lambda: tf.nest.flatten(run())[0]

    def _count_collectives(self) -> int:
        """In a step as `fit` has it: with its input, and the means of its
        logs over all replicas."""
        self.model.make_train_function()

        @tf.function
        def step(batches: tf.data.Iterator) -> Any:
            return self.model.train_function([next(batches)])

        graph = step.get_concrete_function(iter(self.shares)).graph
        functions = graph.as_graph_def().library.function
        nodes = itertools.chain(
            graph.as_graph_def().node, *(x.node_def for x in functions)
        )
        return sum(node.op.startswith("CollectiveReduce") for node in nodes)
