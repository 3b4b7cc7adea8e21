"""The tasks of a Slurm job step as addresses."""

import itertools
import math
import os
import re
import subprocess
from collections.abc import Iterator

from keras_mnist_sum.errors import InputError

_MOST = 100_000  # of nodes and of tasks


def find_step() -> tuple[tuple[str, ...], int]:
    """The addresses of this job step's tasks, and which of them this is.

    Slurm's own tools say at which address it reaches a node. Where they are
    not, as in a container, that is the node's name. Ports depend on job, step
    and restart, so that those before, which may still run, have others.

    Returns:
        `host:port` of each task, and this one's place among them, from 0.

    Raises:
        InputError: If the environment's variables are not those of a job step
            whose tasks fill one node after the other.
    """
    try:
        rank = int(os.environ["SLURM_PROCID"])
        tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
        job = int(os.environ["SLURM_JOB_ID"])
        step = int(os.environ.get("SLURM_STEP_ID", 0))
        restart = int(os.environ.get("SLURM_RESTART_COUNT", 0))
        node_list = os.environ["SLURM_STEP_NODELIST"]
        names = expand_names(node_list)
        counts = _expand_counts(os.environ["SLURM_STEP_TASKS_PER_NODE"])
        nodes = [
            node for node, count in enumerate(counts) for _ in range(count)
        ]
        if len(counts) != len(names) or len(nodes) != tasks:
            raise ValueError(
                f"{tasks} tasks, {len(names)} nodes and tasks per node {counts}"
            )
        if not 0 <= rank < tasks:
            raise ValueError(f"task {rank} of {tasks}")
        here = int(os.environ.get("SLURM_NODEID", nodes[rank]))
    except (KeyError, ValueError) as error:
        raise InputError(
            "Cannot read the job step of Slurm: start this by srun. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    if here != nodes[rank]:
        raise InputError(
            "Slurm must fill one node with tasks after the other: srun "
            f"--distribution=block. Received: task {rank} on node {here}, with "
            f"tasks per node {counts}"
        )
    hosts = _addresses(node_list)
    first = 10_000 + (31 * job + step + 7 * restart) * tasks % 20_000
    return tuple(
        f"{hosts.get(names[node], names[node])}:{first + i}"
        for i, node in enumerate(nodes)
    ), rank


def expand_names(node_list: str) -> list[str]:
    """The nodes that a list of Slurm names, in its order.

    `n[1-2,5],rack[01-02]b[7]` names n1, n2, n5, rack01b7 and rack02b7.

    Raises:
        ValueError: If it is no such list.
    """
    if not re.fullmatch(r"([^\s\[\],]|\[[\d,-]+\]|,(?=.))+", node_list):
        raise ValueError(f"{node_list[:200]!r} is no list of nodes")
    names = []
    for name in re.findall(r"(?:[^\[,]|\[[^\]]*\])+", node_list):
        text_and_numbers = re.split(r"\[([^\]]*)\]", name)
        choices = [
            list(_numbers(part)) if i % 2 else [part]
            for i, part in enumerate(text_and_numbers)
        ]
        if math.prod(map(len, choices)) > _MOST:
            raise ValueError(f"{node_list[:200]!r} are too many nodes")
        names += ["".join(parts) for parts in itertools.product(*choices)]
    return names


def _numbers(ranges: str) -> Iterator[str]:
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        if not 0 < len(numbers) <= _MOST:
            raise ValueError(f"{part[:200]!r} is no range of nodes")
        for number in numbers:
            yield f"{number:0{len(first)}}"


def _expand_counts(text: str) -> list[int]:
    """Of `2(x3),1`: 2, 2, 2 and 1."""
    counts = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if not match or not 0 < int(match[2] or 1) * int(match[1]) <= _MOST:
            raise ValueError(f"{text[:200]!r} are no tasks per node")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def _addresses(node_list: str) -> dict[str, str]:
    """By name of a node, where Slurm itself reaches it."""
    command = ["scontrol", "--oneliner", "show", "node", node_list]
    try:
        shown = subprocess.run(command, capture_output=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):  # It is not here, or hangs.
        return {}
    found = re.findall(
        r"(?m)^NodeName=(\S+) .*? NodeAddr=(\S+)",
        shown.decode(errors="replace"),
    )
    return {
        name: f"[{address}]" if ":" in address else address
        for name, address in found
    }
