"""What determinism and checkpoints cost.

    python -m benchmarks.overheads

Trains the default preset in short pieces, in turns in one process: as it is,
with TensorFlow's deterministic operations, and with a checkpoint at the end of
each piece. Prints medians, and writes them to
`benchmarks/results/overheads.json`.
"""

import dataclasses
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from keras_mnist_sum.utils.quiet import import_tensorflow

import_tensorflow()

# TensorFlow documents only how to turn determinism on.
from tensorflow.python.framework import config as tf_config  # noqa: E402

from benchmarks import flags  # noqa: E402
from benchmarks.timing import WARM  # noqa: E402
from benchmarks.timing import checkpointing  # noqa: E402
from benchmarks.timing import seconds_of_a_step  # noqa: E402
from keras_mnist_sum import presets  # noqa: E402
from keras_mnist_sum.data import pipeline  # noqa: E402
from keras_mnist_sum.data.sources import load_mnist  # noqa: E402
from keras_mnist_sum.distribution.devices import find_devices  # noqa: E402
from keras_mnist_sum.models.build import build_model  # noqa: E402
from keras_mnist_sum.training.optimization import compile_model  # noqa: E402
from keras_mnist_sum.utils import environment  # noqa: E402

ROUNDS = 15
STEPS = 30  # of a piece, timed
KINDS = ("plain", "deterministic", "checkpoints")
RESULTS = Path(__file__).parent / "results" / "overheads.json"


def main() -> None:
    flags.take_none(__doc__)
    config = presets.get(presets.DEFAULT).config
    devices = find_devices("single")
    precision = devices.precision(config.precision)
    config = dataclasses.replace(config, precision=precision)
    mnist = load_mnist("sample")
    # Each traces its steps under its own setting.
    models = {
        kind: compile_model(build_model(config), config) for kind in KINDS
    }

    def seconds(kind: str, folder: Path) -> float:
        # The checkpoint comes in the last step, on the clock.
        callbacks = (
            checkpointing(folder, devices, every=STEPS + WARM)
            if kind == "checkpoints"
            else ()
        )
        if kind == "deterministic":
            tf_config.enable_op_determinism()
        data = pipeline.training_dataset(
            mnist.train_images, mnist.train_labels, config
        )
        try:
            return seconds_of_a_step(
                models[kind], data, STEPS + WARM, callbacks=callbacks
            )
        finally:
            tf_config.disable_op_determinism()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rounds = [
            {kind: seconds(kind, folder) for kind in KINDS}
            for _ in range(ROUNDS + 1)
        ][1:]  # The first one traces.
        size = max(folder.iterdir()).stat().st_size
    report: dict[str, Any] = {
        "command": "python -m benchmarks.overheads",
        "n": ROUNDS,
        "data": mnist.description,
        "precision": precision,
        "steps": STEPS,
        "megabytes_of_a_checkpoint": round(size / 1e6, 1),
        "kinds": {},
        "environment": environment.facts(),
    }
    for kind in KINDS:
        steps = [each[kind] for each in rounds]
        ratios = [each[kind] / each["plain"] for each in rounds]
        found = report["kinds"][kind] = {
            "milliseconds_of_a_step": round(1e3 * statistics.median(steps), 2),
            "ratio": round(statistics.median(ratios), 3),
            "ratio_of_rounds": [round(ratio, 3) for ratio in ratios],
        }
        print(
            f"{kind:<14}{found['milliseconds_of_a_step']:6.1f} ms a step, "
            f"ratio {found['ratio']:.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f})"
        )
    print(f"medians of {ROUNDS} pieces of {STEPS} steps in {precision}")
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
