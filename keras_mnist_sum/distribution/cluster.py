"""The processes that train together: who they are, and waiting for all."""

import contextlib
import json
import logging
import os
import random
import re
import socket
import time
from dataclasses import dataclass
from typing import Any

from keras_mnist_sum.distribution import slurm_step
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import WorkerLostError

_JOBS = ("chief", "worker")

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
        return Cluster(*slurm_step.find_step())
    return None


def _parse(text: str) -> Cluster:
    try:
        jobs, job, index = _jobs_and_task(json.loads(text))
    except (RecursionError, ValueError) as error:
        example = Cluster(("host:port", "host:port"), 0).to_tf_config()
        raise InputError(
            "TF_CONFIG must name the cluster's workers and this process's "
            f"task, as in {example}. Received: TF_CONFIG={text[:200]!r}, "
            f"where {error}"
        ) from error
    if job == "worker":
        index += len(jobs["chief"])
    return Cluster((*jobs["chief"], *jobs["worker"]), index)


def _jobs_and_task(config: Any) -> tuple[dict[str, list[str]], str, int]:
    """The addresses of chief and workers, and which of them this process is.

    Raises:
        ValueError: With the reason, if `config` does not say so.
    """
    for part, holder in (("cluster", config), ("task", config)):
        if not isinstance(holder, dict) or not isinstance(
            holder.get(part), dict
        ):
            raise ValueError(f"{part!r} is no object in an object")
    others = set(config["cluster"]) - set(_JOBS)
    if others:
        raise ValueError(
            f"the cluster has a job {min(others)!r}, and only a chief and "
            "workers train here"
        )
    jobs = {name: config["cluster"].get(name, []) for name in _JOBS}
    seen: dict[tuple[str, int], str] = {}
    for name, addresses in jobs.items():
        if not isinstance(addresses, list):
            raise ValueError(f"{name!r} is no list of addresses")
        for i, address in enumerate(addresses):
            host, port = _split(address)
            place = f"{name} {i}"
            other = seen.setdefault((host.lower(), port), place)
            if other != place:
                raise ValueError(f"{address!r} is both {other} and {place}")
    job, index = config["task"].get("type"), config["task"].get("index")
    if not isinstance(job, str) or not jobs.get(job):
        raise ValueError(f"the cluster has no task of the type {job!r}")
    if isinstance(index, bool) or not re.fullmatch("[0-9]{1,9}", str(index)):
        raise ValueError(f"the task's index {index!r} is no whole number")
    if int(index) >= len(jobs[job]):
        raise ValueError(
            f"there is no {job} {index}: the last is {len(jobs[job]) - 1}"
        )
    return jobs, job, int(index)


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


def _split(address: object) -> tuple[str, int]:
    """Of `host:port`; an IPv6 address stands in brackets.

    Raises:
        ValueError: If it is something else, with what is wrong.
    """
    if not isinstance(address, str):
        raise ValueError(f"{address!r} is no text of the form host:port")
    host, colon, port = address.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    wrong = ""
    if "://" in address:
        wrong = f"has a scheme, {address.partition('://')[0]}://"
    elif re.search(r"[\s,/@]", address):
        wrong = "has a space or a sign that no address has"
    elif not colon or address.endswith("]"):
        wrong = "has no port"
    elif ":" in host and bare == host:
        wrong = "is an IPv6 address without brackets, as in [::1]:port"
    elif not bare:
        wrong = "has no host"
    elif not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 2**16:
        wrong = "has a port that is no number from 1 to 65535"
    if wrong:
        raise ValueError(
            f"the address {address[:80]!r} is not host:port: it {wrong}"
        )
    return bare, int(port)
