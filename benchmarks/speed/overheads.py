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
from benchmarks.speed import trainee
from benchmarks.turns import interleave
from keras_mnist_sum import presets
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.distribution.devices import find_devices

OPTIONS = {
    "rounds": (15, "pieces of each kind"),
    "steps": (30, "of a piece, timed"),
}
SMOKE = {"rounds": 1, "steps": 1}


def main(values: argparse.Namespace) -> None:
    config = trainee.config_of(presets.DEFAULT)
    mnist, whole = load_mnist("sample"), values.steps + trainee.WARM
    with tempfile.TemporaryDirectory() as folder:
        # A checkpoint comes in the last step of a piece, on the clock.
        saving = trainee.checkpointing(folder, find_devices("single"), whole)
        kinds = {"plain": [], "deterministic": [], "checkpoint": saving}
        # Each traces its steps under its own setting.
        models = {kind: trainee.compiled(config) for kind in kinds}

        def piece(kind: str) -> float:
            if kind == "deterministic":
                tf_config.enable_op_determinism()
            data = trainee.batches(mnist, config)
            try:
                return trainee.seconds_of_a_step(
                    models[kind], data, whole, callbacks=kinds[kind]
                )
            finally:
                tf_config.disable_op_determinism()

        pieces = {kind: functools.partial(piece, kind) for kind in kinds}
        turns = interleave(pieces, values.rounds)
        size = max(Path(folder).iterdir()).stat().st_size / 1e6
    checkpoint = f"a checkpoint ({size:.1f} MB) in {values.steps} steps"
    found = {
        "precision": config.precision,
        "kinds": {
            checkpoint if kind == "checkpoint" else kind: {
                "milliseconds_of_a_step": turns.milliseconds(kind),
                "ratio": turns.ratio(kind, "plain"),
                "ratio_of_rounds": turns.ratios(kind, "plain"),
            }
            for kind in kinds
        },
        "turns": turns.to_json(),
    }
    harness.save(values, found)
