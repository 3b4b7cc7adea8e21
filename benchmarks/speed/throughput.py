"""How much of the machine's arithmetic a training step uses.

Measures, in turns in one process and for each precision, the rate of a large
matrix product, the most that this machine reaches, and that of the
multiplications and additions in a training step's convolutions and dense
layers, with batches that are already there; then profiles steps of the default
preset.
"""

import argparse
import math
import re
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks import harness
from benchmarks.speed import trainee
from benchmarks.turns import interleave
from benchmarks.turns import timed
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.models.build import count_multiply_adds

# Smaller matrices reach less.
OPTIONS = {
    "rounds": (15, "turns of everything"),
    "steps": (10, "of training, in a turn"),
    "side": (4096, "of the square matrices; smaller ones reach less"),
}
SMOKE = {"rounds": 1, "steps": 1, "side": 256}
PRECISIONS = ("float32", "bfloat16")
# Found by a part of an operation's name, the first one that fits.
_KINDS = {
    "optimizer": "muon",
    "normalization": "_norm",
    "convolutions": "Conv2D",
    "pooling": "Pool",
    "ReLU": "Relu",
}


def main(values: argparse.Namespace) -> None:
    rounds, steps, side = values.rounds, values.steps, values.side
    mnist = load_mnist("sample")
    works: dict[str, tuple[Callable[[], None], float]] = {}
    for precision in PRECISIONS:
        works[f"matrix product, {precision}"] = _product(precision, side)
        for preset in ("residual", "fast"):
            works[f"{preset}, {precision}"] = _step(preset, precision, mnist)

    def several(kind: str) -> Callable[[], float]:
        work, times = works[kind][0], 1 if kind.startswith("matrix") else steps
        return lambda: timed(lambda: _repeat(work, times)).wall / times

    turns = interleave({kind: several(kind) for kind in works}, rounds)
    kinds = {}
    for kind, (_, operations) in works.items():
        product = f"matrix product, {kind.split(', ')[1]}"
        share = operations / works[product][1]
        step = turns.median(kind)
        kinds[kind] = {
            "milliseconds": turns.milliseconds(kind),
            "gigaflops": round(operations / step / 1e9, 1),
            "share_of_product": round(
                share * statistics.median(turns.ratios(product, kind)), 3
            ),
        }
    shares = {x: _shares(works[f"residual, {x}"][0], steps) for x in PRECISIONS}
    found = {"kinds": kinds, "percent_of_a_step": shares}
    harness.save(values, found | {"turns": turns.to_json()})


def _repeat(work: Callable[[], None], times: int) -> None:
    for _ in range(times):
        work()


def _product(precision: str, side: int) -> tuple[Callable[[], None], float]:
    random = np.random.default_rng(0)
    matrix = tf.cast(random.normal(size=(side, side)), precision)

    @tf.function(autograph=False)
    def product(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_max(tf.matmul(x, x))  # Copies one number.

    return lambda: product(matrix).numpy(), 2 * side**3


def _step(
    preset: str, precision: str, mnist: Mnist
) -> tuple[Callable[[], None], float]:
    config = trainee.config_of(preset, precision=precision)
    batch = next(iter(trainee.batches(mnist, config)))
    model = trainee.compiled(config)
    step = tf.function(model.train_step, autograph=False)
    operations = config.batch_size * _operations(model)
    return lambda: step(batch)["loss"].numpy(), operations


def _shares(work: Callable[[], None], steps: int) -> dict[str, float]:
    """Where the processor's time goes, in percent, by the kind of operation,
    as TensorFlow's profiler has it."""
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            _repeat(work, steps)
        [file] = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    times = dict.fromkeys([*_KINDS, "other"], 0)
    for plane in space.planes:
        names = {key: x.name for key, x in plane.event_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            # "gradient_tape/.../Conv2DBackpropInput:_MklConv2D..."; what has
            # no such form holds others, or is not of TensorFlow's graph.
            name = names[event.metadata_id]
            if not re.fullmatch(r"[\w/.]+:_?[A-Z]\w+", name):
                continue
            kind = next((k for k, x in _KINDS.items() if x in name), "other")
            times[kind] += event.duration_ps
    total = sum(times.values())
    return {kind: round(100 * x / total, 1) for kind, x in times.items()}


def _operations(model: keras.Model) -> int:
    """Additions and multiplications of an example in a training step.

    Of each layer: forward, the gradient of its kernel, and that of its input,
    which the first one needs not.
    """
    first = next(x for x in model.layers if isinstance(x, keras.layers.Conv2D))
    positions = math.prod(first.output.shape[1:-1])
    input_gradient = positions * math.prod(first.kernel.shape)
    return 2 * (3 * count_multiply_adds(model) - input_gradient)
