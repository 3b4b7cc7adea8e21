"""A run goes on with another number of workers than it began with."""

import signal

import numpy as np
import pytest

from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.training import checkpoints
from tests import interrupted
from tests.distribution.ways_to_train import small_config
from tests.distribution.ways_to_train import train

STOP = (interrupted.signal_at_step, 10, signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize("float64", [True, False])
def test_four_workers_then_two_then_one_are_the_run_of_one(
    npz, tmp_path, float64
):
    """The same examples in each step, in validation, too. In float64 weights
    and losses agree as those of other devices do."""
    config = small_config(npz, 30)
    [alone], expected, _ = train("one device", config, tmp_path / "a", float64)
    run = Run(tmp_path / "b")
    for way, step in (("four workers", 10), ("two workers", 20)):
        _, _, codes = train(way, config, run.path, float64, {1: STOP})
        assert set(codes) == {143}
        assert checkpoints.load_newest(run.checkpoints).step == step
    [last], losses, _ = train("one device", config, run.path, float64)
    assert len(losses) == 6
    limit = {"atol": 1e-12 if float64 else 1e-4}
    np.testing.assert_allclose(last, alone, rtol=0, **limit)
    limit = {"rtol": 1e-12 if float64 else 1e-3}
    np.testing.assert_allclose(losses, expected, **limit)
