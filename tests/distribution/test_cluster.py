"""Who trains together, and waiting for them."""

import json
import os
import signal
import socket
import threading
import time

import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.distribution.cluster import Cluster
from keras_mnist_sum.distribution.cluster import find_cluster
from keras_mnist_sum.distribution.launcher import free_addresses
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import WorkerLostError
from tests import interrupted


@pytest.fixture
def job_step(monkeypatch):
    """A Slurm job step of three tasks on two machines."""
    variables = dict(JOB_ID="20007", PROCID="1", STEP_NUM_TASKS="3")
    variables |= dict(STEP_NODELIST="n[1-2]", STEP_TASKS_PER_NODE="2,1")
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("TF_CONFIG", "")


def test_tasks_of_slurm_are_workers(job_step):
    cluster = find_cluster(slurm=True)
    assert cluster.worker == 1
    assert cluster.addresses == ("n1:10651", "n1:10652", "n2:10651")
    assert json.loads(os.environ["TF_CONFIG"]) == {
        "cluster": {"worker": list(cluster.addresses)},
        "task": {"type": "worker", "index": 1},
    }


@pytest.mark.parametrize("name, value", [("JOB_ID", 20008), ("STEP_ID", 1)])
def test_next_job_or_step_has_other_ports(job_step, monkeypatch, name, value):
    first = find_cluster(slurm=True).addresses
    monkeypatch.setenv("TF_CONFIG", "")
    monkeypatch.setenv(f"SLURM_{name}", str(value))
    assert not set(find_cluster(slurm=True).addresses) & set(first)


def test_broken_job_step_is_refused(job_step, monkeypatch):
    monkeypatch.delenv("SLURM_PROCID")
    with pytest.raises(InputError, match="by srun. Received: RuntimeError"):
        find_cluster(slurm=True)


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
        '{"cluster": {"worker": ["a:1"]}, "task": '
        '{"type": "worker", "index": Infinity}}',
        {"cluster": CLUSTER, "task": {"type": "worker", "index": 0.9}},
        {
            "cluster": {"worker": [":1", "b:1"]},
            "task": {"type": "worker", "index": 0},
        },
        {
            "cluster": {"worker": ["::1:1", "b:1"]},
            "task": {"type": "worker", "index": 0},
        },
        "[" * 100_000,
    ],
)
def test_malformed_cluster_is_refused(monkeypatch, config):
    text = config if isinstance(config, str) else json.dumps(config)
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG must name.*Received"):
        find_cluster()


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
    cluster = find_cluster()
    assert (len(cluster.addresses), cluster.worker) == expected


def test_all_wait_until_the_last_one_has_come(monkeypatch):
    monkeypatch.setattr("keras_mnist_sum.distribution.cluster._SILENCE", 0.2)
    addresses = free_addresses(3)
    said = [[], [], []]
    arrived, done = [], threading.Event()

    def come(index):
        Cluster(addresses, index).wait_for_all(said[index].append)
        arrived.append(index)
        port = int(addresses[index].rpartition(":")[2])
        with socket.create_server(("", port)):  # as TensorFlow then does
            done.wait(20)

    threads = [
        threading.Thread(target=come, args=[index], daemon=True)
        for index in range(3)
    ]
    for thread in threads[:2]:
        thread.start()
    time.sleep(1)
    assert not arrived
    threads[2].start()
    for _ in range(100):
        time.sleep(0.1)
        if len(arrived) == 3:
            break
    done.set()
    assert sorted(arrived) == [0, 1, 2]
    for lines in said[:2]:
        assert lines[-1] == f"wait   for worker 2 ({addresses[2]})"
    assert not said[2]


def test_taken_address_is_one_clear_error():
    [address] = free_addresses(1)
    port = int(address.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(WorkerLostError, match=f"Received: {address} "):
            Cluster((address, "b:1"), 0).wait_for_all()


def test_waiting_worker_stops_at_once_when_told_to(npz, tmp_path):
    config = Config(data=str(npz), steps=3)
    [process] = interrupted.start_workers(config, tmp_path, 2, present=1)
    time.sleep(5)
    assert process.is_alive()
    os.kill(process.pid, signal.SIGTERM)
    process.join(10)
    assert process.exitcode == 143
    assert interrupted.errors(tmp_path, 0).endswith("nothing is lost\n")
