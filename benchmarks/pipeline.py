"""Is the input pipeline ever the bottleneck?

    python -m benchmarks.pipeline

Measures, in turns in one process, images per second of the pipeline alone
(warps included) and of training steps on batches that are already there, with
the default preset, and prints medians and their ratio.
"""

import statistics
import time

from keras_mnist_sum.quiet import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402

from keras_mnist_sum import pipeline  # noqa: E402
from keras_mnist_sum import presets  # noqa: E402
from keras_mnist_sum.compiling import compile_model  # noqa: E402
from keras_mnist_sum.models import build_model  # noqa: E402
from keras_mnist_sum.sources import load_mnist  # noqa: E402

ROUNDS = 9
BATCHES, STEPS = 200, 20


def main() -> None:
    config = presets.get(presets.DEFAULT).config
    mnist = load_mnist("sample")
    images, labels, *_ = mnist.hold_out(config.validation_fraction)
    batches = pipeline.training_dataset(images, labels, config).repeat()
    batches = iter(batches)
    model = compile_model(build_model(config), config)
    step = tf.function(model.train_step)
    batch = next(batches)
    step(batch)
    rates: dict[str, list[float]] = {"pipeline": [], "training": []}
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(BATCHES):
            next(batches)
        elapsed = time.perf_counter() - start
        rates["pipeline"].append(BATCHES * config.batch_size / elapsed)
        start = time.perf_counter()
        for _ in range(STEPS):
            step(batch)
        elapsed = time.perf_counter() - start
        rates["training"].append(STEPS * config.batch_size / elapsed)
    for name, values in rates.items():
        middle = statistics.median(values)
        print(f"{name:<10}{middle:10,.0f} images/s (median of {ROUNDS})")
    pairs = zip(rates["pipeline"], rates["training"])
    print(f"ratio     {statistics.median(a / b for a, b in pairs):10.1f}")


if __name__ == "__main__":
    main()
