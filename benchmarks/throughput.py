"""How much of the machine's arithmetic does a training step use?

    python -m benchmarks.throughput

Measures, in turns in one process and for each precision, the rate of a large
matrix product, the most that this machine reaches, and that of the
multiplications and additions in a training step's convolutions and dense
layers, with batches that are already there; then profiles steps of the default
preset. Writes medians, their ratios, and the shares of the kinds of operation
to `benchmarks/results/throughput.json`.
"""

import dataclasses
import json
import math
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from keras_mnist_sum.utils.quiet import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow.tsl.profiler.protobuf import xplane_pb2  # noqa: E402

from benchmarks import flags  # noqa: E402
from keras_mnist_sum import presets  # noqa: E402
from keras_mnist_sum.data import pipeline  # noqa: E402
from keras_mnist_sum.data.mnist import Mnist  # noqa: E402
from keras_mnist_sum.data.sources import load_mnist  # noqa: E402
from keras_mnist_sum.models.build import build_model  # noqa: E402
from keras_mnist_sum.models.build import count_multiply_adds  # noqa: E402
from keras_mnist_sum.training.optimization import compile_model  # noqa: E402
from keras_mnist_sum.utils import environment  # noqa: E402

ROUNDS = 15
STEPS = 10  # in a round
SIDE = 4096  # of the square matrices; smaller ones reach less
RESULTS = Path(__file__).resolve().parent / "results" / "throughput.json"
PRECISIONS = ("float32", "bfloat16")
# Found by a part of an operation's name, the first one that fits.
_KINDS = {
    "optimizer": "adam_w",
    "normalization": "_norm",
    "convolutions": "Conv2D",
    "pooling": "Pool",
    "ReLU": "Relu",
}


def main() -> None:
    flags.take_none(__doc__)
    mnist = load_mnist("sample")
    kinds: dict[str, tuple[Callable[[], None], float]] = {}
    for precision in PRECISIONS:
        kinds[f"matrix product, {precision}"] = _product(precision)
        for preset in ("residual", "fast"):
            kinds[f"{preset}, {precision}"] = _step(preset, precision, mnist)
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS + 1):  # The first one traces.
        for kind, (run, _) in kinds.items():
            start = time.perf_counter()
            times = 1 if kind.startswith("matrix") else STEPS
            for _ in range(times):
                run()
            seconds[kind].append((time.perf_counter() - start) / times)
    report: dict[str, dict[str, float]] = {}
    for kind, (_, operations) in kinds.items():
        products = seconds[f"matrix product, {kind.split(', ')[1]}"][1:]
        # Round by round, so that both had the same noise.
        shares = [
            (operations / step) / (2 * SIDE**3 / product)
            for step, product in zip(seconds[kind][1:], products, strict=True)
        ]
        step = statistics.median(seconds[kind][1:])
        report[kind] = {
            "milliseconds": round(1000 * step, 2),
            "gigaflops": round(operations / step / 1e9, 1),
            "share_of_product": round(statistics.median(shares), 3),
        }
        print(
            f"{kind:<26}{report[kind]['milliseconds']:8.2f} ms"
            f"{report[kind]['gigaflops']:8.0f} GFLOP/s"
            f"{100 * report[kind]['share_of_product']:6.0f} % of the product"
        )
    print(f"medians of {ROUNDS} rounds of {STEPS} steps")
    parts = {
        precision: _shares(kinds[f"residual, {precision}"][0])
        for precision in PRECISIONS
    }
    for precision, shares_of in parts.items():
        words = ", ".join(f"{kind} {x:.0f} %" for kind, x in shares_of.items())
        print(f"residual, {precision}: {words}")
    result = {
        "command": "python -m benchmarks.throughput",
        "n": ROUNDS,
        "kinds": report,
        "percent_of_a_step": parts,
        "environment": environment.facts(),
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _product(precision: str) -> tuple[Callable[[], None], float]:
    random = np.random.default_rng(0)
    matrix = tf.cast(random.normal(size=(SIDE, SIDE)), precision)

    @tf.function(autograph=False)
    def product(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_max(tf.matmul(x, x))  # Copies one number.

    def run() -> None:
        product(matrix).numpy()

    return run, 2 * SIDE**3


def _step(
    preset: str, precision: str, mnist: Mnist
) -> tuple[Callable[[], None], float]:
    config = presets.get(preset).config
    config = dataclasses.replace(config, precision=precision)
    batches = pipeline.training_dataset(
        mnist.train_images, mnist.train_labels, config
    )
    batch = next(iter(batches))
    model = compile_model(build_model(config), config)
    step = tf.function(model.train_step, autograph=False)

    def run() -> None:
        step(batch)["loss"].numpy()

    return run, config.batch_size * _operations(model)


def _shares(run: Callable[[], None]) -> dict[str, float]:
    """Where the processor's time in a step goes, in percent, by the kind of
    operation, as TensorFlow's profiler has it."""
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            for _ in range(STEPS):
                run()
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


if __name__ == "__main__":
    main()
