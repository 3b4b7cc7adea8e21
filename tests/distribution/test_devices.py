"""On one device, two, or two machines: the same run."""

import csv
import dataclasses
import json
import os
import signal
import sys
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.distribution import devices as distribution
from keras_mnist_sum.distribution import multi_worker
from keras_mnist_sum.distribution.devices import find_devices
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training import checkpoints
from keras_mnist_sum.training import finishing
from keras_mnist_sum.training import train as training
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils import environment
from tests import interrupted


@pytest.fixture
def config(npz):
    """39 images to train on, 11 held out, which no two devices share evenly."""
    return Config(
        data=str(npz),
        validation_fraction=0.22,
        backbone="small",
        width=2,
        steps=50,
        batch_size=8,
    )


def recast(model, before, after):
    """The same model, from end to end in another type."""
    text = json.dumps(model.get_config()).replace(before, after)
    copy = keras.Model.from_config(json.loads(text))
    copy.set_weights(model.get_weights())
    return copy


def forbid_writing(folder):
    """Lets this process, from here on, write nothing in `folder`."""
    writing = {"os.mkdir", "os.rename", "os.remove", "os.link"}

    def check(event, args):
        writes = event in writing or (
            event == "open" and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        )
        if writes and str(args[0]).startswith(str(folder)):
            raise RuntimeError(f"{event} {args}")

    sys.addaudithook(check)


class KeepWeights:
    """Has each process leave its trained weights beside `run_dir`, which only
    the chief may write to."""

    def __init__(self, run_dir, float64):
        self.run_dir, self.float64 = run_dir, float64

    def __call__(self):
        tf_config = json.loads(os.environ.get("TF_CONFIG") or "{}")
        if tf_config and tf_config["task"]["index"]:
            forbid_writing(f"{self.run_dir}/")
        if self.float64:
            keras.config.set_floatx("float64")
            training.build_model = lambda config: recast(
                build_model(config), "float32", "float64"
            )
            finishing.in_float32 = lambda model: recast(
                model, "float64", "float32"
            )
        fit = training.fit

        def fit_and_keep(model, examples, config, run_dir, devices, *others):
            seconds = fit(model, examples, config, run_dir, devices, *others)
            weights = [np.ravel(array) for array in model.get_weights()]
            path = f"{self.run_dir}-weights-{devices.worker}"
            np.save(path, np.concatenate(weights))
            return seconds

        training.fit = fit_and_keep


WAYS = {
    "one device": dict(strategy="single"),
    "two devices": dict(strategy="mirrored", cpus=2),
    "two workers": dict(strategy="auto"),
}


def train(way, config, run_dir, float64=False, troubles=()):
    """Trains in one of the `WAYS`.

    Returns:
        The trained weights in each process that came so far, the losses of
        each epoch, and the exit codes.
    """
    keep = KeepWeights(run_dir, float64)
    named = dict(WAYS[way], before=keep)
    if way == "two workers":
        processes = interrupted.start_workers(
            config, run_dir, 2, troubles, **named
        )
    else:
        processes = [interrupted.start(config, run_dir, **named)]
    for process in processes:
        process.join(300)
    paths = sorted(run_dir.parent.glob(f"{run_dir.name}-weights-*.npy"))
    weights = [np.load(path) for path in paths]
    for path in paths:
        path.unlink()
    losses = []
    if (run_dir / run_directory.HISTORY).is_file():
        with open(run_dir / run_directory.HISTORY) as file:
            losses = [
                [float(row["loss"]), float(row["val_loss"])]
                for row in csv.DictReader(file)
            ]
    return weights, losses, [process.exitcode for process in processes]


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone, float64",
    [("small", True), ("small", False), ("dropout", True)],
)
def test_same_weights_on_one_device_on_two_and_on_two_workers(
    config, tmp_path, backbone, float64
):
    """After 50 steps, with held-out images scored in between."""
    config = dataclasses.replace(config, backbone=backbone)
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
        limit = dict(atol=exact if float64 else 1e-4)
        np.testing.assert_allclose(weights[0], alone, rtol=0, **limit)
        limit = dict(rtol=exact if float64 else 1e-3)
        np.testing.assert_allclose(losses, expected, **limit)
        assert names(run_dir) == names(tmp_path / "one")
    assert len(weights) == 2


@pytest.mark.slow
def test_killed_worker_ends_the_other_and_both_go_on(config, tmp_path):
    """To the bits of a run that nobody disturbed, dropout included."""
    config = dataclasses.replace(config, backbone="dropout", steps=12)
    whole, expected, _ = train("two workers", config, tmp_path / "whole")
    run_dir = tmp_path / "killed"
    kill = (interrupted.signal_at_step, 7, signal.SIGKILL)
    begun = time.monotonic()
    _, _, codes = train("two workers", config, run_dir, troubles={1: kill})
    assert time.monotonic() - begun < 60
    assert codes == [4, -signal.SIGKILL]
    *_, line = interrupted.errors(run_dir, 0).splitlines()
    assert line.startswith("error: Another worker has ended")
    weights, losses, codes = train("two workers", config, run_dir)
    assert codes == [0, 0]
    np.testing.assert_array_equal(weights, whole)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)


@pytest.mark.slow
def test_one_worker_is_told_to_stop_and_all_save_and_stop(config, tmp_path):
    config = dataclasses.replace(config, steps=12, precision="bfloat16")
    stop = (interrupted.signal_at_step, 7, signal.SIGTERM)
    _, _, codes = train("two workers", config, tmp_path, troubles={1: stop})
    assert codes == [143, 143]
    newest = checkpoints.load_newest(
        tmp_path / run_directory.CHECKPOINTS, pytest.fail
    )
    assert newest.step == 7


class OtherSeed:
    """Has worker 1 train with another seed."""

    def __call__(self):
        task = json.loads(os.environ["TF_CONFIG"])["task"]
        train = training.train

        def train_another(config, *others, **named):
            seed = task["index"]
            config = dataclasses.replace(config, seed=seed)
            return train(config, *others, **named)

        training.train = train_another


@pytest.mark.slow
def test_workers_that_differ_are_refused(config, tmp_path):
    processes = interrupted.start_workers(
        config, tmp_path, 2, before=OtherSeed()
    )
    for worker, process in enumerate(processes):
        process.join(120)
        assert process.exitcode == 2
        error = interrupted.errors(tmp_path, worker).splitlines()[-1]
        assert error.startswith("error: All workers must have the same")


class Unmended:
    """Leaves out one of the two mends of Keras's `fit` across machines."""

    def __init__(self, *methods):
        self.methods = methods

    def __call__(self):
        for method in self.methods:
            delattr(multi_worker.MultiWorkerModel, method)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mend, error",
    [
        (["_maybe_symbolic_build"], "with an unsupported type"),
        (["train_step", "test_step"], "Sum_5/reduction_indices"),
    ],
)
def test_keras_alone_still_fails_across_machines(config, tmp_path, mend, error):
    """When this fails, Keras has been mended: remove that override."""
    processes = interrupted.start_workers(
        config, tmp_path, 2, before=Unmended(*mend)
    )
    for worker, process in enumerate(processes):
        process.join(300)
        assert process.exitcode == 1
        assert error in interrupted.errors(tmp_path, worker)


def test_batch_that_cannot_be_shared_is_refused(config, tmp_path):
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


def test_unknown_strategy_is_refused():
    with pytest.raises(InputError, match="one of auto.*Received: strategy='x'"):
        find_devices("x")


def test_one_of_several_workers_cannot_train_alone(monkeypatch):
    workers = {"worker": ["a:1", "b:1"]}
    config = {"cluster": workers, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(
        InputError, match="names 2.*Received: strategy='single'"
    ):
        find_devices("single")


def test_many_workers_need_a_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS", raising=False)
    with pytest.raises(InputError, match="needs TF_CONFIG.*Received"):
        find_devices("multi_worker")


@pytest.fixture
def pretend(monkeypatch):
    """Makes TensorFlow see GPUs of these compute capabilities."""

    def pretend(*capabilities):
        gpus = [f"/GPU:{index}" for index in range(len(capabilities))]
        details = dict(zip(gpus, capabilities))
        monkeypatch.delenv("TF_CONFIG", raising=False)
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: gpus)
        monkeypatch.setattr(
            tf.config.experimental,
            "get_device_details",
            lambda gpu: {"compute_capability": details[gpu]},
        )
        monkeypatch.setattr(
            tf.config,
            "list_logical_devices",
            lambda kind: [SimpleNamespace(name=name) for name in gpus],
        )
        monkeypatch.setattr(
            tf.distribute,
            "MirroredStrategy",
            lambda devices: SimpleNamespace(
                devices=devices,
                num_replicas_in_sync=len(devices),
                extended=SimpleNamespace(worker_devices=devices),
            ),
        )
        return find_devices("auto")

    return pretend


@pytest.mark.parametrize(
    "capabilities, precision",
    [
        ([(9, 0)], "bfloat16"),
        ([(8, 0), (8, 6)], "bfloat16"),
        ([(8, 0), (7, 5)], "float32"),  # float16 is for one device alone
        ([(7, 0)], "float16"),
        ([(6, 1)], "float32"),
    ],
)
def test_all_gpus_train_at_the_precision_that_the_least_is_made_for(
    pretend, capabilities, precision
):
    devices = pretend(*capabilities)
    count = len(capabilities)
    assert devices.strategy.devices == [f"/GPU:{i}" for i in range(count)]
    assert devices.precision("auto") == precision
    assert devices.precision("float32") == "float32"


def test_startup_line_names_the_devices_and_counts_the_replicas(pretend):
    assert str(pretend((8, 0))) == "1 GPU"
    two = pretend((8, 0), (8, 0))
    assert str(two) == "2 replicas (GPU:0, GPU:1)"
    each = str(dataclasses.replace(two, workers=2))
    assert each == "2 replicas (2 workers, GPU:0, GPU:1 of each)"


def test_without_a_tpu_there_is_one_clear_error(monkeypatch):
    def nothing():
        raise ValueError("Please provide a TPU Name to connect to.")

    resolvers = tf.distribute.cluster_resolver
    monkeypatch.setattr(resolvers, "TPUClusterResolver", nothing)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(InputError, match="needs a TPU. Received: ValueError"):
        find_devices("tpu")


def test_a_cluster_comes_before_gpus_and_one_worker_is_none(
    pretend, monkeypatch
):
    pretend((8, 0), (8, 0))
    joined = []
    monkeypatch.setattr(
        distribution,
        "_multi_worker_strategy",
        lambda: SimpleNamespace(num_replicas_in_sync=4),
    )
    monkeypatch.setattr(
        "keras_mnist_sum.distribution.cluster.Cluster.wait_for_all",
        lambda cluster, say: joined.append(cluster.worker),
    )
    for addresses, workers in ((["a:1", "b:1"], 2), (["a:1"], 1)):
        index = len(addresses) - 1
        config = {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
        devices = find_devices("auto", lambda text: None)
        assert (devices.workers, devices.worker) == (workers, index)
    assert joined == [1]
    assert devices.strategy.devices == ["/GPU:0", "/GPU:1"]


def test_float16_on_several_devices_is_refused(pretend):
    with pytest.raises(InputError, match="one device.*Received: 2 replicas"):
        pretend((7, 0), (7, 0)).precision("float16")


def test_run_begun_in_float16_goes_on_on_one_device_alone(
    pretend, config, npz, tmp_path
):
    begun = dataclasses.replace(config, precision="float16")
    atomic_files.write_text(tmp_path / run_directory.CONFIG, begun.to_json())
    asked = dataclasses.replace(config, precision="auto").as_begun(
        Config.from_json(
            atomic_files.read_text(tmp_path / run_directory.CONFIG)
        )
    )
    mnist = load_mnist(str(npz))
    settled = training._settled(asked, mnist, pretend((7, 0)))
    assert settled.precision == "float16"
    with pytest.raises(InputError, match="one device.*Received: 2 replicas"):
        training._settled(asked, mnist, pretend((7, 0), (7, 0)))


def test_too_little_memory_is_one_clear_line():
    with pytest.raises(InputError, match="smaller batch size. Received: OOM"):
        with find_devices("single").errors():
            raise tf.errors.ResourceExhaustedError(
                None, None, "OOM when allocating\nmore", 8
            )


def test_run_goes_on_in_the_precision_that_auto_began_with(config, tmp_path):
    """Whatever the devices are now."""
    begun = dataclasses.replace(config, steps=3, precision="bfloat16")
    asked = dataclasses.replace(begun, precision="auto")
    training.train(begun, tmp_path, strategy="single", verbose=0)
    (tmp_path / run_directory.RESULTS).unlink()
    training.train(asked, tmp_path, strategy="single", verbose=0)
    assert (tmp_path / run_directory.RESULTS).is_file()


@pytest.mark.parametrize(
    "cpuinfo, precision",
    [
        ("flags\t\t: fpu avx512f amx_bf16 amx_tile\n", "bfloat16"),
        ("flags\t\t: fpu avx512f avx512_bf16\n", "bfloat16"),
        ("flags\t\t: fpu avx2 avx512f\n", "float32"),
        ("Features\t: fp asimd bf16\n", "float32"),  # ARM: not tried
        (None, "float32"),
    ],
)
def test_cpu_trains_in_bfloat16_where_it_is_made_for_it(
    monkeypatch, tmp_path, cpuinfo, precision
):
    path = tmp_path / "cpuinfo"
    if cpuinfo:
        path.write_text(f"processor\t: 0\nmodel name\t: X\n{cpuinfo}\n")
    monkeypatch.setattr(environment, "_CPUINFO", path)
    assert find_devices("single").precision("auto") == precision


def test_without_a_cluster_or_a_gpu_one_device_trains(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "")
    devices = find_devices("auto")
    assert devices.replicas == devices.workers == 1 and devices.is_chief
