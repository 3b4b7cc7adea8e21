"""Which devices train, and in which precision."""

import dataclasses
from types import SimpleNamespace

import pytest
import tensorflow as tf

from keras_mnist_sum.config import Config
from keras_mnist_sum.distribution import multi_worker
from keras_mnist_sum.distribution import unused_gpus
from keras_mnist_sum.distribution.cluster import Cluster
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.distribution.devices import find_devices
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import environment


def test_rejects_an_unknown_strategy():
    with pytest.raises(InputError, match="one of auto.*Received: strategy='x'"):
        find_devices("x")


@pytest.mark.parametrize("strategy", ["single", "mirrored", "tpu"])
def test_rejects_one_of_several_workers_alone(monkeypatch, strategy):
    cluster = Cluster(("a:1", "b:1"), 0)
    monkeypatch.setenv("TF_CONFIG", cluster.to_tf_config())
    with pytest.raises(
        InputError, match=f"names 2.*Received: strategy='{strategy}'"
    ):
        find_devices(strategy)


def test_multi_worker_needs_a_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS", raising=False)
    with pytest.raises(InputError, match="needs TF_CONFIG.*Received"):
        find_devices("multi_worker")


def test_all_workers_vote_whatever_precision_is_named(monkeypatch):
    """So that none waits for one whose config says another."""
    votes = []

    def vote(devices, flags):
        votes.append(len(flags))
        return [True] * len(flags)

    monkeypatch.setattr(Distribution, "all_reduce_any", vote)
    devices = find_devices("single")
    assert devices.precision("auto") == "float32"
    assert devices.precision("bfloat16") == "bfloat16"
    assert votes == [2, 2]


@pytest.fixture
def pretend(monkeypatch):
    """Makes TensorFlow see GPUs of these compute capabilities."""

    def pretend(*capabilities):
        gpus = [f"/GPU:{index}" for index in range(len(capabilities))]
        details = dict(zip(gpus, capabilities, strict=True))
        monkeypatch.delenv("TF_CONFIG", raising=False)
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: gpus)
        monkeypatch.setattr(
            tf.config.experimental,
            "get_device_details",
            lambda gpu: {
                "device_name": "NVIDIA A",
                "compute_capability": details[gpu],
            },
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
def test_auto_precision_is_what_the_least_able_gpu_is_fast_in(
    pretend, capabilities, precision
):
    devices = pretend(*capabilities)
    assert devices.replicas == len(capabilities)
    assert devices.precision("auto") == precision
    assert devices.precision("float32") == "float32"


def test_text_names_the_devices_and_counts_the_replicas(pretend):
    assert str(pretend((8, 0))) == "1 GPU (NVIDIA A)"
    two = pretend((8, 0), (8, 0))
    assert str(two) == "2 replicas (GPU:0, GPU:1)"
    each = str(dataclasses.replace(two, workers=2))
    assert each == "2 replicas (2 workers, GPU:0, GPU:1 of each)"


def test_missing_tpu_is_one_clear_error(monkeypatch):
    def nothing():
        raise ValueError("Please provide a TPU Name to connect to.")

    resolvers = tf.distribute.cluster_resolver
    monkeypatch.setattr(resolvers, "TPUClusterResolver", nothing)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(InputError, match="needs a TPU. Received: ValueError"):
        find_devices("tpu")


def test_auto_prefers_several_workers_to_gpus(pretend, monkeypatch):
    pretend((8, 0), (8, 0))
    joined = []

    def connect(cluster):
        joined.append(cluster.worker)
        return SimpleNamespace(num_replicas_in_sync=4)

    monkeypatch.setattr(multi_worker, "connect", connect)
    for addresses, workers in ((("a:1", "b:1"), 2), (("a:1",), 1)):
        cluster = Cluster(addresses, len(addresses) - 1)
        monkeypatch.setenv("TF_CONFIG", cluster.to_tf_config())
        devices = find_devices("auto")
        assert (devices.workers, devices.worker) == (workers, workers - 1)
    assert joined == [1]
    assert devices.strategy.devices == ["/GPU:0", "/GPU:1"]


def test_rejects_float16_on_several_devices(pretend):
    with pytest.raises(InputError, match="one device.*Received: 2 replicas"):
        pretend((7, 0), (7, 0)).precision("float16")


def test_run_begun_in_float16_goes_on_with_one_device_alone(pretend):
    begun = Config(precision="float16")
    asked = Config(precision="auto").as_begun(begun)
    assert pretend((7, 0)).precision(asked.precision) == "float16"
    with pytest.raises(InputError, match="one device.*Received: 2 replicas"):
        pretend((7, 0), (7, 0)).precision(asked.precision)


@pytest.mark.parametrize(
    "kind, message, line",
    [
        (
            tf.errors.ResourceExhaustedError,
            "OOM when allocating\nmore",
            "smaller batch size. Received: OOM when allocating$",
        ),
        (
            tf.errors.UnimplementedError,
            "A deterministic GPU implementation of X is not available.",
            "--no-deterministic.* Received: A deterministic GPU imple.* of X",
        ),
    ],
)
@pytest.mark.parametrize(
    "before", ["", "Graph execution error:\n\nDetected at node X defined at\n"]
)
def test_what_a_device_cannot_do_is_one_clear_line(kind, message, line, before):
    with (
        pytest.raises(InputError, match=line),
        find_devices("single").errors(),
    ):
        raise kind(None, None, before + message)


def test_hidden_gpu_is_not_used_and_not_spoken_of(pretend, monkeypatch, caplog):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["GPU"])
    monkeypatch.setattr(unused_gpus, "explain", lambda: "it is not used")
    assert "CPU" in str(pretend())
    assert not caplog.records


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
def test_auto_precision_is_bfloat16_on_a_cpu_that_is_fast_in_it(
    monkeypatch, tmp_path, cpuinfo, precision
):
    path = tmp_path / "cpuinfo"
    if cpuinfo:
        path.write_text(f"processor\t: 0\nmodel name\t: X\n{cpuinfo}\n")
    monkeypatch.setattr(environment, "_CPUINFO", path)
    assert find_devices("single").precision("auto") == precision


def test_auto_is_one_device_without_cluster_or_gpu(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "")
    devices = find_devices("auto")
    assert devices.replicas == devices.workers == 1 and devices.is_chief
