"""What training on several devices and workers costs.

Trains the default preset on the same two cores in four ways, in turns: one
process with two threads; one with two logical devices (`mirrored`); two workers
with a thread each; and two processes with a thread and half of each batch each
that know nothing of each other, which is what two workers would do if talking
cost nothing. Then times what workers tell each other in a step.
"""

import argparse
import collections
import contextlib
import dataclasses
import functools
import os
import statistics
import tempfile
from typing import Any

from benchmarks import harness
from benchmarks.turns import Turn
from benchmarks.turns import Turns
from benchmarks.turns import interleave
from benchmarks.workers import Worker
from keras_mnist_sum.distribution import cluster
from keras_mnist_sum.errors import InputError

PARTS = ("gradients", "vote", "1 kB")
OPTIONS = {
    "rounds": (15, "pieces of training"),
    "starts": (3, "of all processes, which differ a little"),
    "steps": (16, "of a piece; one is not timed"),
    "batch_size": (512, "of all workers together"),
}
SMOKE = {"rounds": 1, "starts": 1, "steps": 2, "batch_size": 16}


def main(values: argparse.Namespace) -> None:
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise InputError(f"This needs two processor cores. Received: {cores}")
    rounds = -(-values.rounds // values.starts)
    turns = Turns()
    parts: dict[str, list[float]] = collections.defaultdict(list)
    for _ in range(values.starts):
        facts = _measure(values, rounds, cores, turns, parts)
    found = {
        "n": rounds * values.starts,
        "batch_size": values.batch_size,
        "images_per_second": {
            way: round(values.batch_size / turns.median(way)) for way in turns
        },
        "ratio_to_one_process": {
            way: turns.ratio("one process", way) for way in turns
        },
        "ratio_of_two_workers_to_apart": turns.ratio("apart", "two workers"),
        "milliseconds_of_a_step": {
            way: turns.milliseconds(way, 1) for way in turns
        },
        "milliseconds_of_parts": {
            what: round(1000 * statistics.median(parts[what]), 3)
            for what in PARTS
        },
        **facts,
        "turns": turns.to_json(),
    }
    harness.save(values, found)


def _measure(
    values: argparse.Namespace,
    rounds: int,
    cores: list[int],
    turns: Turns,
    parts: dict[str, list[float]],
) -> dict[str, Any]:
    """Starts all processes and adds their turns to those of others."""
    whole, addresses = values.batch_size, cluster.free_addresses(2)
    configs = [cluster.Cluster(addresses, i).to_tf_config() for i in (0, 1)]
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.ExitStack() as stack,
    ):

        def start(way: str, share: int, cores: list[int], **how: Any) -> Worker:
            place = "benchmarks.speed.trainee:Trainee"
            what = ("sample", {"batch_size": share}, way, folder)
            return stack.enter_context(Worker(place, *what, cores=cores, **how))

        ways = {
            "one process": [start("single", whole, cores)],
            "mirrored": [start("mirrored", whole, cores)],
            "two workers": [
                start("multi_worker", whole, [x], variables={"TF_CONFIG": y})
                for x, y in zip(cores, configs, strict=True)
            ],
            "apart": [start("single", whole // 2, [x]) for x in cores],
        }
        pieces = {
            way: functools.partial(together, x, "fit", values.steps, 1)
            for way, x in ways.items()
        }
        for way, found in interleave(pieces, rounds).items():
            turns.setdefault(way, []).extend(found)
        for what in PARTS * rounds:
            turn = together(ways["two workers"], "part", what, values.steps)
            parts[what].append(turn.seconds)
        facts = ways["one process"][0].ask("facts")
    wanted = ("precision", "megabytes_of_gradients", "environment")
    return {name: facts[name] for name in wanted}


def together(workers: list[Worker], method: str, *arguments: object) -> Turn:
    """Has them do something at once: what the slowest takes, with the
    processor time of all."""
    for worker in workers:
        worker.send(method, *arguments)
    turns = [worker.receive() for worker in workers]
    slowest = max(turns, key=lambda turn: turn.seconds)
    return dataclasses.replace(
        slowest, processor=sum(turn.processor for turn in turns)
    )
