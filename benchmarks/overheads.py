"""What determinism and checkpoints cost.

    python -m benchmarks.overheads

Trains the default preset in short pieces, in turns in one process: as it is,
with TensorFlow's deterministic operations, and with a checkpoint in each piece;
prints the median time of a step and the median ratio to the first.
"""

import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

from keras_mnist_sum.quiet import import_tensorflow

import_tensorflow()

# TensorFlow documents only how to turn determinism on.
from tensorflow.python.framework import config as tf_config  # noqa: E402

from keras_mnist_sum import pipeline  # noqa: E402
from keras_mnist_sum import presets  # noqa: E402
from keras_mnist_sum.compiling import compile_model  # noqa: E402
from keras_mnist_sum.distribution import find_devices  # noqa: E402
from keras_mnist_sum.models import build_model  # noqa: E402
from keras_mnist_sum.recording import Recorder  # noqa: E402
from keras_mnist_sum.sources import load_mnist  # noqa: E402
from keras_mnist_sum.stopping import StopRequests  # noqa: E402

ROUNDS = 15
STEPS = 30  # in a piece


def main() -> None:
    config = presets.get(presets.DEFAULT).config
    devices = find_devices("single")
    precision = devices.precision(config.precision)
    config = dataclasses.replace(config, precision=precision)
    images, labels, *_ = load_mnist("sample").hold_out(0.0)
    kinds = ("plain", "deterministic", "checkpoints")
    models = {}
    for kind in kinds:
        # Each traces its steps under its own setting.
        models[kind] = compile_model(build_model(config), config)

    def seconds(kind: str, folder: Path) -> float:
        callbacks = []
        if kind == "checkpoints":
            recorder = Recorder(
                folder,
                config.steps,
                10 * STEPS,
                StopRequests(),
                devices,
                every=STEPS,
            )
            callbacks.append(recorder)
        if kind == "deterministic":
            tf_config.enable_op_determinism()
        data = pipeline.training_dataset(images, labels, config)
        start = time.perf_counter()
        models[kind].fit(
            data,
            steps_per_epoch=STEPS,
            shuffle=False,
            callbacks=callbacks,
            verbose=0,
        )
        elapsed = time.perf_counter() - start
        tf_config.disable_op_determinism()
        return elapsed / STEPS

    with tempfile.TemporaryDirectory() as folder:
        rounds = [
            {kind: seconds(kind, Path(folder)) for kind in kinds}
            for _ in range(ROUNDS + 1)
        ][1:]  # The first one traces.
    for kind in kinds:
        step = statistics.median(each[kind] for each in rounds)
        ratio = statistics.median(each[kind] / each["plain"] for each in rounds)
        print(f"{kind:<14}{1000 * step:6.0f} ms a step, ratio {ratio:.3f}")
    print(f"medians of {ROUNDS} pieces of {STEPS} steps in {precision}")


if __name__ == "__main__":
    main()
