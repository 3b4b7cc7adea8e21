"""On one device, two, or two machines: the same run."""

import csv
import dataclasses
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.distribution import multi_worker
from keras_mnist_sum.distribution.cluster import Cluster
from keras_mnist_sum.distribution.cluster import find_cluster
from keras_mnist_sum.distribution.cluster import free_addresses
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.training import checkpoints
from keras_mnist_sum.training import train as training
from tests import interrupted
from tests.distribution.ways_to_train import WAYS
from tests.distribution.ways_to_train import small_config
from tests.distribution.ways_to_train import train


@pytest.fixture
def config(npz):
    return small_config(npz, 50)


def history(run_dir):
    """The rows of `history.csv`, without the seconds."""
    with open(Run(run_dir).history) as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["seconds"]
    return rows


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone, float64",
    [("small", True), ("small", False), ("dropout", True)],
)
def test_same_weights_on_one_device_two_devices_and_two_workers(
    config, tmp_path, backbone, float64
):
    """After 50 steps, with validation in between."""
    # Muon makes small differences in a gradient large ones, deep networks grow
    # them: the deep one is trained by AdamW.
    optimizer = "muon" if backbone == "small" else "adamw"
    config = dataclasses.replace(config, backbone=backbone, optimizer=optimizer)
    [alone], expected, codes = train(
        "one device", config, tmp_path / "one", float64
    )
    assert codes == [0] and len(expected) == 10
    for way in ("two devices", "two workers"):
        run_dir = tmp_path / way
        weights, losses, codes = train(way, config, run_dir, float64)
        assert set(codes) == {0}
        for each in weights:
            np.testing.assert_array_equal(each, weights[0])
        # Deeper networks let differences in rounding grow.
        exact = 1e-12 if backbone == "small" else 1e-10
        limit = {"atol": exact if float64 else 1e-4}
        np.testing.assert_allclose(weights[0], alone, rtol=0, **limit)
        limit = {"rtol": exact if float64 else 1e-3}
        np.testing.assert_allclose(losses, expected, **limit)
        assert names(run_dir) == names(tmp_path / "one")
    assert len(weights) == 2


@pytest.mark.slow
def test_killed_worker_ends_the_other_and_both_resume(config, tmp_path):
    """To the bits of a run that nobody disturbed, dropout included; and to the
    same history."""
    config = dataclasses.replace(config, backbone="dropout", steps=12)
    whole, _, _ = train("two workers", config, tmp_path / "whole")
    run_dir = tmp_path / "killed"
    kill = (interrupted.signal_at_step, 7, signal.SIGKILL)
    _, _, codes = train("two workers", config, run_dir, troubles={1: kill})
    assert codes == [4, -signal.SIGKILL]
    *_, line = interrupted.errors(run_dir, 0).splitlines()
    assert line.startswith("error: Another worker has ended")
    weights, _, codes = train("two workers", config, run_dir)
    assert codes == [0, 0]
    np.testing.assert_array_equal(weights, whole)
    assert history(run_dir) == history(tmp_path / "whole")


@pytest.mark.slow
def test_chief_that_hangs_ends_the_other_with_one_line(config, tmp_path):
    """And when it goes on, it ends, too."""
    hang = (interrupted.signal_at_step, 3, signal.SIGSTOP)
    chief, other = interrupted.start_workers(config, tmp_path, 2, {0: hang})
    try:
        other.join(120)
        assert other.exitcode == 4
        *_, line = interrupted.errors(tmp_path, 1).splitlines()
        assert line.startswith("error: Another worker has ended or hangs")
        assert chief.exitcode is None
        os.kill(chief.pid, signal.SIGCONT)
        chief.join(120)
        assert chief.exitcode == 4
    finally:
        chief.kill()


@pytest.mark.slow
def test_signal_to_one_worker_stops_all_saved(config, tmp_path):
    config = dataclasses.replace(config, steps=12, precision="bfloat16")
    stop = (interrupted.signal_at_step, 7, signal.SIGTERM)
    _, _, codes = train("two workers", config, tmp_path, troubles={1: stop})
    assert codes == [143, 143]
    assert checkpoints.load_newest(Run(tmp_path).checkpoints).step == 7


class OtherSeed:
    """Has worker 1 train with another seed."""

    def __call__(self):
        work = training.train

        def train_another(config, run_dir, **named):
            config = dataclasses.replace(config, seed=find_cluster().worker)
            return work(config, run_dir, **named)

        training.train = train_another


@pytest.mark.slow
def test_rejects_workers_that_differ(config, tmp_path):
    processes = interrupted.start_workers(
        config, tmp_path, 2, before=OtherSeed()
    )
    for worker, process in enumerate(processes):
        process.join(120)
        assert process.exitcode == 2
        error = interrupted.errors(tmp_path, worker).splitlines()[-1]
        assert error.startswith("error: All workers must have the same")


class WithoutFix:
    """Leaves out one of the two fixes of Keras's `fit` across machines."""

    def __init__(self, *methods):
        self.methods = methods

    def __call__(self):
        for method in self.methods:
            delattr(multi_worker.MultiWorkerModel, method)


@pytest.mark.slow
@pytest.mark.parametrize(
    "methods, error",
    [
        (["_maybe_symbolic_build"], "with an unsupported type"),
        (["_make_function"], "Sum_7/reduction_indices"),
    ],
)
def test_keras_alone_still_fails_across_machines(
    config, tmp_path, methods, error
):
    """When this fails, Keras has been fixed: remove that override."""
    processes = interrupted.start_workers(
        config, tmp_path, 2, before=WithoutFix(*methods)
    )
    for worker, process in enumerate(processes):
        process.join(300)
        assert process.exitcode == 1
        assert error in interrupted.errors(tmp_path, worker)


def test_rejects_a_batch_that_devices_cannot_share(config, tmp_path):
    code = interrupted.start(
        dataclasses.replace(config, batch_size=9),
        tmp_path,
        **WAYS["two devices"],
    )
    code.join(300)
    assert code.exitcode == 2
    error = interrupted.errors(tmp_path)
    assert "a multiple of their number, 2. Received: batch_size=9" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_run_resumes_in_the_precision_that_auto_began_with(config, tmp_path):
    """Whatever the devices are now."""
    begun = dataclasses.replace(config, steps=3, precision="bfloat16")
    asked = dataclasses.replace(begun, precision="auto")
    training.train(begun, tmp_path, strategy="single", verbose=0)
    Run(tmp_path).results.unlink()
    training.train(asked, tmp_path, strategy="single", verbose=0)
    assert Run(tmp_path).results.is_file()


CONNECT = """
import sys
from keras_mnist_sum.utils.quiet import import_tensorflow
import_tensorflow()
from keras_mnist_sum.commands import cli
from keras_mnist_sum.distribution.cluster import find_cluster
from keras_mnist_sum.distribution.multi_worker import connect
{prepare}
sys.exit(cli.run(lambda: connect(find_cluster(), timeout=2)))
"""


def connect(cluster, prepare=""):
    """The exit code, and the lines on standard error."""
    environment = {
        **os.environ,
        "TF_CONFIG": cluster.to_tf_config(),
        "TF_CPP_MIN_LOG_LEVEL": "3",  # As `import_tensorflow` has it then.
    }
    process = subprocess.run(
        [sys.executable, "-c", CONNECT.format(prepare=prepare)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    return process.returncode, process.stderr.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("worker", [0, 1])
def test_worker_lost_while_connecting_is_one_clear_error(worker):
    """One that answers at its address, and then no more."""
    addresses = free_addresses(2)
    port = int(addresses[1 - worker].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        code, [line] = connect(Cluster(addresses, worker))
    assert code == 4
    assert line.startswith("error: The workers did not come together. Received")


def test_connecting_after_tensorflow_has_computed_is_one_clear_error():
    code, [line] = connect(
        Cluster(free_addresses(1), 0), "import tensorflow as tf; tf.ones(1)"
    )
    assert code == 2
    assert line.startswith("error: Workers must connect before")


def test_model_of_several_workers_is_copied_as_a_plain_one(config):
    devices = Distribution(tf.distribute.get_strategy(), workers=2)
    model = devices.adapt(build_model(config))
    assert isinstance(model, multi_worker.MultiWorkerModel)
    assert type(copy_model(model)) is type(build_model(config))
