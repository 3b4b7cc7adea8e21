"""On a GPU: `TEST_GPU=0 python -m pytest -m "" tests/distribution/test_gpu.py`.

Without TEST_GPU, which names one as CUDA_VISIBLE_DEVICES does, all of this is
skipped.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.run_directory import Run
from tests import interrupted
from tests.distribution.ways_to_train import small_config
from tests.distribution.ways_to_train import train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("TEST_GPU" not in os.environ, reason="needs a GPU"),
]


@pytest.fixture
def config(npz):
    return small_config(npz, 30)


def weights_of(run_dir):
    return load_model(Run(run_dir).model).get_weights()


def test_tensorflow_sees_the_gpu():
    assert len(tf.config.list_physical_devices("GPU")) == 1


def test_run_says_that_it_is_on_the_gpu_and_takes_bfloat16(npz, tmp_path):
    """Compute capability 8.0 (Ampere) or more."""
    command = [sys.executable, "train.py", "--data", str(npz), "--steps", "4"]
    done = subprocess.run(
        [*command, "--batch-size", "8", "--run-dir", str(tmp_path / "run")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "muon in bfloat16 on 1 GPU (" in done.stdout
    facts = json.loads(Run(tmp_path / "run").environment.read_text())
    assert facts["device"].startswith("1 GPU (")


@pytest.mark.parametrize("backbone", ["small", "residual", "dropout"])
def test_two_parts_of_a_gpu_train_as_one(config, tmp_path, backbone):
    """In float64."""
    optimizer = "muon" if backbone == "small" else "adamw"
    config = dataclasses.replace(config, backbone=backbone, optimizer=optimizer)
    [one], expected, codes = train("one device", config, tmp_path / "a", True)
    assert codes == [0]
    way = "two parts of a GPU"
    [two], losses, codes = train(way, config, tmp_path / "b", True)
    assert codes == [0], interrupted.errors(tmp_path / "b")
    # As on CPUs: the deepest one lets differences in rounding grow.
    limit = 1e-10 if backbone == "dropout" else 1e-12
    np.testing.assert_allclose(two, one, rtol=0, atol=limit)
    np.testing.assert_allclose(losses, expected, rtol=limit)


def test_two_workers_on_a_gpu_train_as_one(config, tmp_path):
    """In float64."""
    [one], expected, codes = train("one device", config, tmp_path / "a", True)
    assert codes == [0]
    way = "two workers on a GPU"
    weights, losses, codes = train(way, config, tmp_path / "b", True)
    assert codes == [0, 0], interrupted.errors(tmp_path / "b", 0)
    for each in weights:
        np.testing.assert_allclose(each, one, rtol=0, atol=1e-12)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


@pytest.mark.parametrize("backbone", ["residual", "dropout"])
@pytest.mark.parametrize(
    "strategy, precision", [("single", "bfloat16"), ("mirrored", "float32")]
)
def test_killed_run_resumes_to_the_same_bits(
    config, tmp_path, strategy, backbone, precision
):
    config = dataclasses.replace(
        config, backbone=backbone, precision=precision, width=8
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert interrupted.run(config, whole, strategy=strategy) == 0
    kill = (interrupted.signal_at_step, 17, signal.SIGKILL)
    code = interrupted.run(config, killed, *kill, strategy=strategy)
    assert code == -signal.SIGKILL
    assert interrupted.run(config, killed, strategy=strategy) == 0
    for mine, other in zip(weights_of(killed), weights_of(whole), strict=True):
        np.testing.assert_array_equal(mine, other)
