"""The processes that train together: who they are, and waiting for all."""

import contextlib
import json
import logging
import os
import random
import socket
import time
from dataclasses import dataclass

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import WorkerLostError

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cluster:
    """The workers, and which of them this process is.

    Attributes:
        addresses: `host:port` of each worker. The first one is the chief.
        worker: This process's place among them, from 0.
    """

    addresses: tuple[str, ...]
    worker: int

    def to_tf_config(self) -> str:
        """The value of `TF_CONFIG` that describes this."""
        return json.dumps(
            {
                "cluster": {"worker": self.addresses},
                "task": {"type": "worker", "index": self.worker},
            }
        )

    def wait_for_all(self, seconds_between_lines: float = 10.0) -> None:
        """Returns once every worker has been seen at its address.

        TensorFlow waits in native code, where no signal is handled and nothing
        is logged. Here each worker listens at its own address until it has seen
        the others, so that all go on to TensorFlow at about the same time.

        Args:
            seconds_between_lines: How often the log says who is missing.

        Raises:
            WorkerLostError: If this worker's own port is taken.
        """
        missing = dict(enumerate(self.addresses))
        logged = time.monotonic()
        with _listen(missing.pop(self.worker)):
            while True:
                missing = {
                    index: address
                    for index, address in missing.items()
                    if not _answers(address)
                }
                if not missing:
                    return
                if time.monotonic() - logged > seconds_between_lines:
                    logged = time.monotonic()
                    names = [f"{i} ({x})" for i, x in missing.items()]
                    more = f" and {len(names) - 4} more" * (len(names) > 4)
                    _logger.info(
                        f"wait   for worker {', '.join(names[:4])}{more}"
                    )
                time.sleep(0.2)


def find_cluster(slurm: bool = False) -> Cluster | None:
    """The cluster that the environment's `TF_CONFIG` describes, if it does.

    A cluster may call its first worker chief:
    https://www.tensorflow.org/api_docs/python/tf/distribute/cluster_resolver/TFConfigClusterResolver

    Args:
        slurm: Whether the tasks of a Slurm job step are a cluster, too, where
            there is no `TF_CONFIG`.

    Returns:
        The cluster, and which of its workers this process is; `None` if there
        is none.

    Raises:
        InputError: If `TF_CONFIG` is not such a description, or the job step
            cannot be looked up.
    """
    text = os.environ.get("TF_CONFIG")
    if text:
        return _parse(text)
    if slurm and os.environ.get("SLURM_STEP_NUM_TASKS"):
        return _find_slurm_step()
    return None


def _parse(text: str) -> Cluster:
    try:
        config = json.loads(text)
        jobs, task = config["cluster"], config["task"]
        members = {job: list(jobs.pop(job, [])) for job in ("chief", "worker")}
        addresses = members["chief"] + members["worker"]
        distinct = {_split(address) for address in addresses}
        job, index = task["type"], int(str(task["index"]))
        is_valid = (
            0 <= index < len(members[job])
            and len(distinct) == len(addresses)
            and not jobs
        )
        reason = "a worker twice, no such task, or another job"
    except (
        AttributeError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        is_valid, reason = False, f"{type(error).__name__}: {error}"
    if not is_valid:
        raise InputError(
            "TF_CONFIG must name the cluster's workers and this process's "
            f"task. Received: TF_CONFIG={text[:200]!r} ({reason})"
        )
    if job == "worker":
        index += len(members["chief"])
    return Cluster(tuple(addresses), index)


def _find_slurm_step() -> Cluster:
    import tensorflow as tf

    try:
        tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
        job = int(os.environ["SLURM_JOB_ID"])
        step = int(os.environ.get("SLURM_STEP_ID", 0))
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            # Other ports than those of the step or the job before, which may
            # run on the same machine.
            port_base=10_000 + (31 * job + step) * tasks % 20_000,
            # Which GPUs are whose is left to Slurm (--gpus-per-task); the
            # resolver refuses to count tasks without counting GPUs.
            gpus_per_node=tasks,
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        addresses = resolver.cluster_spec().as_dict()["worker"]
        _, index = resolver.get_task_info()
    except Exception as error:
        # A missing variable, a missing scontrol, a list that cannot be read.
        raise InputError(
            "Cannot read the job step of Slurm: start this by srun. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    return Cluster(tuple(addresses), index)


def free_addresses(count: int) -> tuple[str, ...]:
    """Addresses of this machine that nobody listens at.

    Their ports lie below those that a system gives to whoever asks for any.

    Raises:
        InputError: If there are not as many free ports.
    """
    addresses: list[str] = []
    for port in random.sample(range(10_000, 32_768), 22_768):
        if len(addresses) == count:
            break
        with contextlib.suppress(OSError), socket.socket() as server:
            server.bind(("127.0.0.1", port))
            addresses.append(f"127.0.0.1:{port}")
    if len(addresses) < count:
        raise InputError(
            f"There are not as many free ports. Received: workers={count}"
        )
    return tuple(addresses)


def _listen(address: str) -> socket.socket:
    host, port = _split(address)
    dual = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", port),
            family=socket.AF_INET6 if dual else socket.AF_INET,
            backlog=socket.SOMAXCONN,
            dualstack_ipv6=dual,
        )
    except OSError as error:
        raise WorkerLostError(
            f"Cannot listen at this worker's address. Received: {host}:"
            f"{port} ({error.strerror})"
        ) from error


def _answers(address: str) -> bool:
    try:
        socket.create_connection(_split(address), timeout=1).close()
    except (OSError, UnicodeError):  # A host name may be none.
        return False
    return True


def _split(address: str) -> tuple[str, int]:
    """Of `host:port`; an IPv6 address stands in brackets."""
    host, _, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"an IPv6 address without brackets: {address!r}")
    if not host or not 0 < int(port) < 2**16:
        raise ValueError(f"not host:port: {address!r}")
    return host, int(port)
