"""What determinism and checkpoints cost a training step.

Trains the default preset in short pieces, in turns in one process: as it is,
with TensorFlow's deterministic operations, and with a checkpoint at the end of
each piece.
"""

import argparse
import functools
import tempfile
from pathlib import Path

# TensorFlow documents only how to turn determinism on.
from tensorflow.python.framework import config as tf_config

from benchmarks import harness
from benchmarks.speed import steps as training
from benchmarks.turns import interleave
from keras_mnist_sum import presets
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.distribution.devices import find_devices

KINDS = ("plain", "deterministic", "checkpoints")
OPTIONS = {
    "rounds": (15, "pieces of each kind"),
    "steps": (30, "of a piece, timed"),
}
SMOKE = {"rounds": 1, "steps": 1}


def main(values: argparse.Namespace) -> None:
    config = training.config_of(presets.DEFAULT)
    mnist, whole = load_mnist("sample"), values.steps + training.WARM
    # Each traces its steps under its own setting.
    models = {kind: training.compiled(config) for kind in KINDS}
    with tempfile.TemporaryDirectory() as name:
        folder, devices = Path(name), find_devices("single")

        def piece(kind: str) -> float:
            # The checkpoint comes in the last step, on the clock.
            callbacks = (
                training.checkpointing(folder, devices, every=whole)
                if kind == "checkpoints"
                else ()
            )
            if kind == "deterministic":
                tf_config.enable_op_determinism()
            data = training.batches(mnist, config)
            try:
                return training.seconds_of_a_step(
                    models[kind], data, whole, callbacks=callbacks
                )
            finally:
                tf_config.disable_op_determinism()

        turns = interleave(
            {x: functools.partial(piece, x) for x in KINDS}, values.rounds
        )
        size = max(folder.iterdir()).stat().st_size
    found = {
        "data": mnist.description,
        "precision": config.precision,
        "steps": values.steps,
        "megabytes_of_a_checkpoint": round(size / 1e6, 1),
        "kinds": {
            kind: {
                "milliseconds_of_a_step": turns.milliseconds(kind),
                "ratio": turns.ratio(kind, "plain"),
                "ratio_of_rounds": turns.ratios(kind, "plain"),
            }
            for kind in KINDS
        },
        "turns": turns.to_json(),
    }
    harness.save(values, found)
