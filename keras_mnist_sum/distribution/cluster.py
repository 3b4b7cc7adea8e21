"""The processes that train together: who they are, and waiting for all."""

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import WorkerLostError

_SILENCE = 10.0  # seconds between two lines about who is missing


@dataclass(frozen=True)
class Cluster:
    """The workers, and which of them this process is.

    Attributes:
        addresses: `host:port` of each worker. The first one is the chief.
        worker: This process's place among them, from 0.
    """

    addresses: tuple[str, ...]
    worker: int

    def wait_for_all(self, say: Callable[[str], None] = print) -> None:
        """Returns once every worker has been seen at its address.

        TensorFlow waits in native code, where no signal is handled and nothing
        is said. Here each listens at its own address until it has seen the
        others, so that all can go on to TensorFlow at about the same time.

        Args:
            say: Is told who is missing, every ten seconds.

        Raises:
            WorkerLostError: If this worker's own port is taken.
        """
        missing = dict(enumerate(self.addresses))
        host, port = _split(missing.pop(self.worker))
        dual = socket.has_dualstack_ipv6()
        try:
            server = socket.create_server(
                ("", port),
                family=socket.AF_INET6 if dual else socket.AF_INET,
                backlog=max(len(self.addresses), socket.SOMAXCONN),
                dualstack_ipv6=dual,
            )
        except OSError as error:
            raise WorkerLostError(
                f"Cannot listen at this worker's address. Received: {host}:"
                f"{port} ({error.strerror})"
            ) from error
        said = time.monotonic()
        with server:
            while True:
                for index, address in list(missing.items()):
                    if _answers(address):
                        del missing[index]
                if not missing:
                    return
                if time.monotonic() - said > _SILENCE:
                    said = time.monotonic()
                    names = ", ".join(
                        f"{index} ({address})"
                        for index, address in list(missing.items())[:4]
                    )
                    more = f" and {len(missing) - 4} more" * (len(missing) > 4)
                    say(f"wait   for worker {names}{more}")
                time.sleep(0.2)


def find_cluster(slurm: bool = False) -> Cluster | None:
    """The cluster that the environment's `TF_CONFIG` names, if it does.

    A cluster may call its first worker chief:
    https://www.tensorflow.org/api_docs/python/tf/distribute/cluster_resolver/TFConfigClusterResolver

    Args:
        slurm: Whether to set `TF_CONFIG`, where there is none, to the tasks of
            a Slurm job step.

    Returns:
        The cluster, and which of its workers this process is; `None` if there
        is none.

    Raises:
        InputError: If `TF_CONFIG` is no such description, or the job step
            cannot be looked up.
    """
    if slurm and not os.environ.get("TF_CONFIG"):
        _take_slurm_for_cluster()
    text = os.environ.get("TF_CONFIG")
    if not text:
        os.environ.pop("TF_CONFIG", None)  # TensorFlow would read "" as JSON.
        return None
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        chiefs = list(cluster.get("chief", []))
        addresses = chiefs + list(cluster.get("worker", []))
        index = int(str(task["index"]))
        if task["type"] == "worker":
            index += len(chiefs)
        elif task["type"] != "chief":
            raise ValueError("a task that is neither chief nor worker")
        if set(cluster) - {"chief", "worker"} or not (
            0 <= index < len(addresses)
        ):
            raise ValueError("a task that is not in the cluster")
        for address in addresses:
            host, port = _split(address)
            if not host or not 0 < port < 2**16:
                raise ValueError(f"an address that is none: {address!r}")
        if len(set(addresses)) < len(addresses):
            raise ValueError("two workers with one address")
    except (
        *(ValueError, KeyError, TypeError, AttributeError),
        RecursionError,
    ) as error:
        raise InputError(
            "TF_CONFIG must name the cluster's workers and this process's "
            f"task. Received: TF_CONFIG={text[:200]!r} "
            f"({type(error).__name__}: {error})"
        ) from error
    return Cluster(tuple(addresses), index)


def _take_slurm_for_cluster() -> None:
    """Sets `TF_CONFIG` to the tasks of a Slurm job step, if this is one."""
    count = os.environ.get("SLURM_STEP_NUM_TASKS")
    if not count:
        return
    import tensorflow as tf

    try:
        job = int(os.environ["SLURM_JOB_ID"])
        step = int(os.environ.get("SLURM_STEP_ID", 0))
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            # Other ports than those of the step or the job before, which may
            # run on the same machine.
            port_base=10_000 + (31 * job + step) * int(count) % 20_000,
            # Which GPUs are whose is left to Slurm (--gpus-per-task); the
            # resolver refuses to count tasks without counting GPUs.
            gpus_per_node=int(count),
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        cluster = resolver.cluster_spec().as_dict()
        kind, index = resolver.get_task_info()
    except Exception as error:
        # A missing variable, a missing scontrol, a list that cannot be read.
        raise InputError(
            "Cannot read the job step of Slurm: start this by srun. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
    os.environ["TF_CONFIG"] = json.dumps(config)


def _split(address: str) -> tuple[str, int]:
    """Of `host:port`; an IPv6 address stands in brackets."""
    host, _, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"an IPv6 address without brackets: {address!r}")
    return host, int(port)


def _answers(address: str) -> bool:
    try:
        socket.create_connection(_split(address), timeout=1).close()
    except (OSError, UnicodeError):  # A host name may be none.
        return False
    return True
