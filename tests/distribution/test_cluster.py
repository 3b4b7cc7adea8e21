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
from keras_mnist_sum.distribution.cluster import free_addresses
from keras_mnist_sum.distribution.slurm_step import expand_names
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import WorkerLostError
from tests import interrupted


@pytest.fixture
def job_step(monkeypatch):
    """A Slurm job step of three tasks on two machines."""
    variables = {
        "JOB_ID": "20007",
        "PROCID": "1",
        "STEP_NUM_TASKS": "3",
        "STEP_NODELIST": "n[1-2]",
        "STEP_TASKS_PER_NODE": "2,1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("TF_CONFIG", "")
    monkeypatch.setenv("PATH", "")  # Without Slurm's own tools.


def test_slurm_tasks_are_the_workers(job_step):
    before = dict(os.environ)
    cluster = find_cluster(slurm=True)
    assert cluster.worker == 1
    assert cluster.addresses == ("n1:10651", "n1:10652", "n2:10653")
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "name, value", [("JOB_ID", 20008), ("STEP_ID", 1), ("RESTART_COUNT", 1)]
)
def test_next_slurm_job_step_or_restart_has_other_ports(
    job_step, monkeypatch, name, value
):
    """Those before may still run."""
    first = find_cluster(slurm=True).addresses
    monkeypatch.setenv(f"SLURM_{name}", str(value))
    assert not set(find_cluster(slurm=True).addresses) & set(first)


@pytest.mark.parametrize(
    "name, value",
    [
        ("PROCID", None),
        ("PROCID", "3"),
        ("PROCID", "-1"),
        ("STEP_NUM_TASKS", "many"),
        ("STEP_NUM_TASKS", "4"),
        ("STEP_TASKS_PER_NODE", "2"),
        ("STEP_TASKS_PER_NODE", "2,1(y2)"),
        ("STEP_TASKS_PER_NODE", "3(x99999999999)"),
        ("STEP_NODELIST", "n[1-2"),
        ("STEP_NODELIST", "n[1-99999999999]"),
        ("STEP_NODELIST", "n[1-9999]a[1-9999]"),
        ("STEP_NODELIST", "n[2-1]"),
    ],
)
def test_rejects_a_broken_slurm_job_step(job_step, monkeypatch, name, value):
    monkeypatch.setenv(f"SLURM_{name}", value or "")
    if value is None:
        monkeypatch.delenv(f"SLURM_{name}")
    with pytest.raises(InputError, match="by srun. Received: .*Error"):
        find_cluster(slurm=True)


def test_rejects_slurm_tasks_in_another_order(job_step, monkeypatch):
    monkeypatch.setenv("SLURM_NODEID", "1")
    with pytest.raises(InputError, match="block. Received: task 1 on node 1"):
        find_cluster(slurm=True)


def test_slurm_says_at_which_address_it_reaches_a_node(
    job_step, monkeypatch, tmp_path
):
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(
        "#!/bin/sh\n"
        "echo NodeName=n1 Arch=x NodeAddr=10.0.0.1 NodeHostName=a Port=1\n"
        "echo NodeName=n2 Arch=x NodeAddr=fd00::2 NodeHostName=b Port=1\n"
    )
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_cluster(slurm=True).addresses == (
        "10.0.0.1:10651",
        "10.0.0.1:10652",
        "[fd00::2]:10653",
    )


@pytest.mark.parametrize(
    "node_list, names",
    [
        ("n1", "n1"),
        ("n[1-2,5]", "n1 n2 n5"),
        ("a[08-11],b", "a08 a09 a10 a11 b"),
        ("r[1-2]n[01-02]", "r1n01 r1n02 r2n01 r2n02"),
        ("gpu-a-[1,3].site", "gpu-a-1.site gpu-a-3.site"),
    ],
)
def test_reads_slurm_s_lists_of_nodes(node_list, names):
    assert expand_names(node_list) == names.split()


def test_slurm_is_only_asked_where_it_is_meant(job_step):
    assert find_cluster() is None


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
        {"cluster": CLUSTER, "task": {"type": "chief", "index": 0}},
        {"cluster": CLUSTER, "task": {"type": ["worker"], "index": 0}},
        {"cluster": CLUSTER, "task": {"type": "worker", "index": "x"}},
        {"cluster": CLUSTER, "task": {"type": "evaluator", "index": 0}},
        {"cluster": {"ps": ["a:1"]}, "task": {"type": "worker", "index": 0}},
        {
            "cluster": {"ps": ["c:1"], **CLUSTER},
            "task": {"type": "worker", "index": 0},
        },
        {
            "cluster": {"worker": [1, "b:1"]},
            "task": {"type": "worker", "index": 0},
        },
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
def test_rejects_a_malformed_cluster(monkeypatch, config):
    text = config if isinstance(config, str) else json.dumps(config)
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG must name.*Received"):
        find_cluster()


@pytest.mark.parametrize(
    "address, why",
    [
        ("a", "no port"),
        ("a:", "no number from 1 to 65535"),
        ("a:http", "no number from 1 to 65535"),
        ("a:0", "no number from 1 to 65535"),
        ("a:65536", "no number from 1 to 65535"),
        ("a:+1", "no number from 1 to 65535"),
        ("http://a:1", "a scheme, http://"),
        (" a:1", "a space"),
        ("a:1,b:1", "a sign that no address has"),
        ("::1:5", "without brackets"),
        ("[::1]", "no port"),
        (":1", "no host"),
    ],
)
def test_names_the_address_that_is_none(monkeypatch, address, why):
    cluster = {"worker": ["b:1", address]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(InputError) as raised:
        find_cluster()
    message = str(raised.value)
    assert f"the address {address!r} is not host:port: it " in message
    assert message.endswith(why) or why in message.rpartition("it ")[2]
    assert "\n" not in message


@pytest.mark.parametrize(
    "cluster, task, why",
    [
        (["a:1", "A:1"], ("worker", 0), "'A:1' is both worker 0 and worker 1"),
        (["a:1"], ("worker", 1), "there is no worker 1: the last is 0"),
        (["a:1"], ("worker", -1), "index -1 is no whole number"),
        (["a:1"], ("worker", True), "index True is no whole number"),
        (["a:1"], ("chief", 0), "no task of the type 'chief'"),
        (["a:1"], (None, 0), "no task of the type None"),
        ("a:1", ("worker", 0), "'worker' is no list"),
        ({"0": "a:1"}, ("worker", 0), "'worker' is no list"),
        ([1], ("worker", 0), "1 is no text of the form host:port"),
    ],
)
def test_says_what_is_wrong_with_a_cluster(monkeypatch, cluster, task, why):
    job, index = task
    config = {
        "cluster": {"worker": cluster},
        "task": {"type": job, "index": index},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(InputError, match=why):
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
def test_finds_which_worker_this_is(monkeypatch, cluster, task, expected):
    config = {"cluster": cluster, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    cluster = find_cluster()
    assert (len(cluster.addresses), cluster.worker) == expected


def test_cluster_is_what_its_tf_config_describes(monkeypatch):
    cluster = Cluster(("a:1", "[::1]:2"), 1)
    monkeypatch.setenv("TF_CONFIG", cluster.to_tf_config())
    assert find_cluster() == cluster


def test_free_addresses_are_different_and_can_be_listened_at():
    addresses = free_addresses(3)
    assert len(set(addresses)) == 3
    for address in addresses:
        host, _, port = address.rpartition(":")
        socket.create_server((host, int(port))).close()


def test_all_wait_until_the_last_worker_has_come(caplog):
    caplog.set_level("INFO", logger="keras_mnist_sum")
    addresses = free_addresses(3)
    arrived, done = [], threading.Event()

    def come(index):
        Cluster(addresses, index).wait_for_all(seconds_between_lines=0.2)
        arrived.append(index)
        port = int(addresses[index].rpartition(":")[2])
        with socket.create_server(("", port)):  # As TensorFlow then does.
            done.wait(20)

    threads = [
        threading.Thread(target=come, args=[index], name=str(index))
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
    for thread in threads:
        thread.join(20)
    assert sorted(arrived) == [0, 1, 2]
    lines = {record.threadName: record.message for record in caplog.records}
    for index in "01":
        assert lines[index] == f"wait   for worker 2 ({addresses[2]})"
    assert "2" not in lines


def test_taken_address_is_one_clear_error():
    [address] = free_addresses(1)
    port = int(address.rpartition(":")[2])
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(WorkerLostError, match=f"Received: {address} "),
    ):
        Cluster((address, "b:1"), 0).wait_for_all()


@pytest.mark.slow
def test_waiting_worker_stops_at_a_signal(npz, tmp_path):
    config = Config(data=str(npz), steps=3)
    [process] = interrupted.start_workers(config, tmp_path, 2, present=1)
    time.sleep(5)
    assert process.is_alive()
    os.kill(process.pid, signal.SIGTERM)
    process.join(10)
    assert process.exitcode == 143
    assert interrupted.errors(tmp_path, 0).endswith("nothing is lost\n")
