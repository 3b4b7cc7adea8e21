"""On one device, two, or two machines: the same run."""

import csv
import dataclasses
import json
import os
import signal
import time

import keras
import numpy as np
import pytest

from keras_mnist_sum import checkpoints
from keras_mnist_sum import distribution
from keras_mnist_sum import runs
from keras_mnist_sum import training
from keras_mnist_sum.config import Config
from keras_mnist_sum.distribution import find_devices
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models import build_model
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


def in_float64(config):
    """The model of `config`, computing in float64 from end to end."""
    model = build_model(config)
    text = json.dumps(model.get_config()).replace("float32", "float64")
    copy = keras.Model.from_config(json.loads(text))
    copy.set_weights(model.get_weights())
    return copy


class KeepWeights:
    """Has each process leave its trained weights at `path`."""

    def __init__(self, path, float64):
        self.path, self.float64 = path, float64

    def __call__(self):
        if self.float64:
            keras.config.set_floatx("float64")
            training.build_model = in_float64
        fit = training._fit

        def fit_and_keep(model, examples, config, run_dir, devices, *others):
            seconds = fit(model, examples, config, run_dir, devices, *others)
            weights = [np.ravel(array) for array in model.get_weights()]
            np.save(f"{self.path}-{devices.worker}", np.concatenate(weights))
            return seconds

        training._fit = fit_and_keep


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
    keep = KeepWeights(f"{run_dir}-weights", float64)
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
    if (run_dir / runs.HISTORY).is_file():
        with open(run_dir / runs.HISTORY) as file:
            losses = [
                [float(row["loss"]), float(row["val_loss"])]
                for row in csv.DictReader(file)
            ]
    return weights, losses, [process.exitcode for process in processes]


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("float64", [True, False])
def test_same_weights_on_one_device_on_two_and_on_two_workers(
    config, tmp_path, float64
):
    """After 50 steps, with held-out images scored in between."""
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
        limit = dict(atol=1e-12) if float64 else dict(atol=1e-4)
        np.testing.assert_allclose(weights[0], alone, rtol=0, **limit)
        limit = dict(rtol=1e-12) if float64 else dict(rtol=1e-3)
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
    newest = checkpoints.load_newest(tmp_path / runs.CHECKPOINTS, pytest.fail)
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


class PlainFit:
    """Leaves out what mends Keras's `fit` across machines."""

    def __call__(self):
        distribution.MultiWorkerModel = keras.Model


@pytest.mark.slow
def test_keras_alone_still_fails_across_machines(config, tmp_path):
    """When this fails, Keras has been mended: remove `MultiWorkerModel`."""
    processes = interrupted.start_workers(
        config, tmp_path, 2, before=PlainFit()
    )
    for process in processes:
        process.join(300)
        assert process.exitcode == 1


def test_batch_that_cannot_be_shared_is_refused(config, tmp_path):
    code = interrupted.start(
        dataclasses.replace(config, batch_size=9),
        tmp_path,
        **WAYS["two devices"],
    )
    code.join()
    assert code.exitcode == 2
    error = interrupted.errors(tmp_path)
    assert "a multiple of their number, 2. Received: batch_size=9" in error
    assert not list(tmp_path.iterdir())


def test_unknown_strategy_is_refused():
    with pytest.raises(InputError, match="one of auto.*Received: strategy='x'"):
        find_devices("x")


def test_one_of_several_workers_cannot_train_alone(monkeypatch):
    config = {"cluster": CLUSTER, "task": {"type": "worker", "index": 0}}
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


def test_without_a_cluster_or_a_gpu_one_device_trains(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "")
    devices = find_devices("auto")
    assert devices.replicas == devices.workers == 1 and devices.is_chief


@pytest.fixture
def job_step(monkeypatch):
    """A Slurm job step of three tasks on two machines."""
    variables = dict(JOB_ID="20007", PROCID="1", STEP_NUM_TASKS="3")
    variables |= dict(STEP_NODELIST="n[1-2]", STEP_TASKS_PER_NODE="2,1")
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("TF_CONFIG", "")


def test_tasks_of_slurm_are_workers(job_step):
    distribution._take_slurm_for_cluster()
    assert json.loads(os.environ["TF_CONFIG"]) == {
        "cluster": {"worker": ["n1:10007", "n1:10008", "n2:10007"]},
        "task": {"type": "worker", "index": 1},
    }
    assert distribution._cluster() == (3, 1)


def test_broken_job_step_is_refused(job_step, monkeypatch):
    monkeypatch.delenv("SLURM_PROCID")
    with pytest.raises(InputError, match="by srun. Received: RuntimeError"):
        find_devices("multi_worker")


CLUSTER = {"worker": ["a:1", "b:1"]}


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        "{}",
        {"cluster": CLUSTER},
        {"cluster": CLUSTER, "task": {"type": "worker"}},
        {"cluster": CLUSTER, "task": {"type": "worker", "index": 2}},
        {"cluster": CLUSTER, "task": {"type": "worker", "index": "x"}},
        {"cluster": CLUSTER, "task": {"type": "evaluator", "index": 0}},
        {"cluster": {"ps": ["a:1"]}, "task": {"type": "worker", "index": 0}},
        {
            "cluster": {"worker": ["a", "b"]},
            "task": {"type": "worker", "index": 0},
        },
        {
            "cluster": {"worker": ["a:1", "a:1"]},
            "task": {"type": "worker", "index": 0},
        },
        {
            "cluster": {"worker": ["a:1", "b:99999"]},
            "task": {"type": "worker", "index": 0},
        },
        {
            "cluster": {"worker": "ab"},
            "task": {"type": "worker", "index": 0},
        },
        {"cluster": 3, "task": {"type": "worker", "index": 0}},
    ],
)
def test_malformed_cluster_is_refused(monkeypatch, config):
    text = config if isinstance(config, str) else json.dumps(config)
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG must name.*Received"):
        find_devices("auto")


@pytest.mark.parametrize(
    "cluster, task, expected",
    [
        (CLUSTER, {"type": "worker", "index": 1}, (2, 1)),
        (
            {"chief": ["c:1"], **CLUSTER},
            {"type": "worker", "index": 1},
            (3, 2),
        ),
        ({"chief": ["c:1"], **CLUSTER}, {"type": "chief", "index": 0}, (3, 0)),
    ],
)
def test_cluster_says_which_worker_this_is(
    monkeypatch, cluster, task, expected
):
    config = {"cluster": cluster, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert distribution._cluster() == expected
