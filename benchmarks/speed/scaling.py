"""What training on several devices and workers costs.

Trains the default preset on the same two cores in four ways, in turns: one
process with two threads; one with two logical devices (`mirrored`); two workers
with a thread each; and two processes with a thread and half of each batch each
that know nothing of each other, which is what two workers would do if talking
cost nothing. Then times the parts of a worker's step. docs/scaling.md has the
model that `--paper` computes by.
"""

import argparse
import collections
import contextlib
import functools
import math
import os
import statistics
import tempfile

from benchmarks import harness
from benchmarks.turns import Turn
from benchmarks.turns import Turns
from benchmarks.turns import interleave
from benchmarks.workers import Worker
from keras_mnist_sum.distribution import cluster
from keras_mnist_sum.errors import InputError

PARTS = ("step", "gradients", "vote")
SIZES = (1, 2**8, 2**14, 2**18)  # float32 values that are summed
OPTIONS = {
    "rounds": (15, "pieces of training"),
    "starts": (3, "of all processes, which differ a little"),
    "steps": (16, "of a piece; one is not timed"),
    "batch_size": (512, "of all workers together"),
    "paper": (bool, "print what the stored results mean for more workers"),
}
SMOKE = {"rounds": 1, "starts": 1, "steps": 2, "batch_size": 16}


def main(values: argparse.Namespace) -> None:
    if values.paper:
        return on_paper(harness.read(harness.RESULTS / "scaling.json"))
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise InputError(f"This needs two processor cores. Received: {cores}")
    rounds = -(-values.rounds // values.starts)
    turns, parts, facts = Turns(), collections.defaultdict(list), {}
    for _ in range(values.starts):
        facts = _measure(values, rounds, cores, turns, parts)

    def part(what: str, digits: int) -> float:
        return round(1000 * statistics.median(parts[what]), digits)

    found = {
        "n": rounds * values.starts,
        "batch_size": values.batch_size,
        "precision": facts["precision"],
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
        "milliseconds_of_parts": {x: part(x, 2) for x in PARTS},
        "milliseconds_of_a_sum": {
            f"{4 * size} bytes": part(str(size), 3) for size in SIZES
        },
        "collectives_in_a_step": facts["collectives"],
        "megabytes_of_gradients": facts["megabytes_of_gradients"],
        "environment": facts["environment"],
        "turns": turns.to_json(),
    }
    harness.save(values, found)


def _measure(
    values: argparse.Namespace,
    rounds: int,
    cores: list[int],
    turns: Turns,
    parts: dict[str, list[float]],
) -> dict:
    """Starts all processes and adds their turns to those of others."""
    whole = values.batch_size
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.ExitStack() as stack,
    ):

        def start(
            way: str, share: int, *alone: int, variables: dict | None = None
        ) -> Worker:
            worker = Worker(
                "benchmarks.speed.trainee:Trainee",
                *("sample", {"batch_size": share}, way, folder),
                cores=alone or cores,
                variables=variables,
            )
            return stack.enter_context(contextlib.closing(worker))

        one = [start("single", whole)]
        addresses = cluster.free_addresses(2)
        workers = [
            start(
                *("multi_worker", whole, core),
                variables={
                    "TF_CONFIG": cluster.Cluster(addresses, i).to_tf_config()
                },
            )
            for i, core in enumerate(cores)
        ]
        ways = {
            "one process": one,
            "mirrored": [start("mirrored", whole)],
            "two workers": workers,
            "apart": [start("single", whole // 2, core) for core in cores],
        }
        found = interleave(
            {
                way: functools.partial(together, x, "fit", values.steps, 1)
                for way, x in ways.items()
            },
            rounds,
        )
        for way in ways:
            turns.setdefault(way, []).extend(found[way])
        for what in (*PARTS, *map(str, SIZES)):
            parts[what] += [
                together(workers, "part", what, values.steps).seconds
                for _ in range(rounds)
            ]
        collectives = ask_all(workers, "collectives")[0]
        environment = one[0].ask("facts")["environment"]
        facts = workers[0].ask("facts")
        return facts | {"collectives": collectives, "environment": environment}


def ask_all(workers: list[Worker], method: str, *arguments: object) -> list:
    """Has them do something at once."""
    for worker in workers:
        worker.send(method, *arguments)
    return [worker.receive() for worker in workers]


def together(workers: list[Worker], method: str, *arguments: object) -> Turn:
    """What the slowest takes, with the processor time of all."""
    turns = ask_all(workers, method, *arguments)
    slowest = max(turns, key=lambda turn: turn.seconds)
    return Turn(slowest.seconds, slowest.wall, sum(x.processor for x in turns))


def on_paper(report: dict) -> None:
    """Prints the share of all workers' time that is spent on computing."""
    compute = report["milliseconds_of_a_step"]["apart"]
    collectives = report["collectives_in_a_step"]
    # A small sum takes W - 1 of them, as the vote; one in a ring twice as many.
    rounds = collectives["small"] + 1 + 2 * collectives["ring"]
    latency, *_ = report["milliseconds_of_a_sum"].values()
    gradients = report["megabytes_of_gradients"]
    took = report["milliseconds_of_parts"]["gradients"]
    here = latency, (took - 2 * latency) / gradients
    networks = {
        "ring, as measured here": (*here, False),
        "ring, 50 us, 10 Gbit/s": (0.05, 0.8, False),
        "tree, 50 us, 10 Gbit/s": (0.05, 0.8, True),
    }
    print(f"{'ms a message, ms a megabyte':<36}" + "  2    8   64  512 workers")
    for name, (latency, per_megabyte, tree) in networks.items():
        shares = []
        for workers in (2, 8, 64, 512):
            hops = math.log2(workers) if tree else workers - 1
            volume = 2 * (workers - 1) / workers * gradients
            talking = rounds * hops * latency + volume * per_megabyte
            shares.append(f"{100 * compute / (compute + talking):3.0f} %")
        kind = f"{name} ({latency:.2f}, {per_megabyte:.1f})"
        print(f"{kind:<36}" + "".join(shares))
