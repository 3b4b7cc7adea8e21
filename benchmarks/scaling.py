"""What training on several devices and workers costs.

    python -m benchmarks.scaling [--paper]

Trains the default preset on the same two cores in four ways, in turns: one
process with two threads; one with two logical devices (`mirrored`); two workers
with a thread each; and two processes with a thread and half of each batch each
that know nothing of each other, which is what two workers would do if talking
cost nothing. Prints the medians of images per second and of the ratios to the
first way, then the parts of a worker's step, and writes both to
`benchmarks/results/scaling.json`. `--paper` measures nothing, and prints what
that file means for more workers, by the model in docs/scaling.md.
"""

import argparse
import json
import math
import multiprocessing
import os
import statistics
import tempfile
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from keras_mnist_sum.distribution import cluster

BATCH_SIZE = 512
ROUNDS = 7
STEPS = 16  # of a piece; the first one is not timed
SIZES = (1, 2**14, 2**18, 2**20, 2**22)  # float32 values that are summed
RESULTS = Path(__file__).parent / "results" / "scaling.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paper", action="store_true")
    if parser.parse_args().paper:
        on_paper(json.loads(RESULTS.read_text()))
    else:
        measure()


def measure() -> None:
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise SystemExit("error: this needs two processor cores")
    with tempfile.TemporaryDirectory() as folder:
        one = [start("single", 0, cores, folder)]
        ask(one, "fit")  # Traces.
        alone = [ask(one, "fit") for _ in range(ROUNDS)]
        ways = {
            "one process": one,
            "mirrored": [start("mirrored", 0, cores, folder)],
            "two workers": start_two("multi_worker", cores, folder),
            "apart": start_two("apart", cores, folder),
        }
        for processes in ways.values():
            ask(processes, "fit")  # Traces.
        rounds = [
            {way: ask(processes, "fit") for way, processes in ways.items()}
            for _ in range(ROUNDS)
        ]
        workers = ways["two workers"]
        parts = {
            name: statistics.median(ask(workers, name) for _ in range(ROUNDS))
            for name in ("step", "gradients", "vote")
        }
        sums = {
            size: statistics.median(
                ask(workers, f"sum {size}") for _ in range(ROUNDS)
            )
            for size in SIZES
        }
        counts = ask(workers, "collectives")
        report = {
            "command": "python -m benchmarks.scaling",
            "n": ROUNDS,
            "batch_size": BATCH_SIZE,
            "precision": ask(one, "precision"),
            "images_per_second": {
                way: round(
                    statistics.median(BATCH_SIZE / x[way] for x in rounds)
                )
                for way in ways
            },
            "ratio_to_one_process": {
                way: round(
                    statistics.median(
                        x["one process"] / x[way] for x in rounds
                    ),
                    3,
                )
                for way in ways
            },
            "ratio_of_two_workers_to_apart": round(
                statistics.median(
                    x["apart"] / x["two workers"] for x in rounds
                ),
                3,
            ),
            "milliseconds_of_a_step": {
                way: round(1000 * statistics.median(x[way] for x in rounds), 1)
                for way in ways
            },
            "milliseconds_of_a_step_before_the_others_started": round(
                1000 * statistics.median(alone), 1
            ),
            "milliseconds_of_parts": {
                name: round(1000 * value, 2) for name, value in parts.items()
            },
            "milliseconds_of_a_sum": {
                f"{4 * size} bytes": round(1000 * value, 3)
                for size, value in sums.items()
            },
            "collectives_in_a_step": counts,
            "megabytes_of_gradients": float(ask(workers, "megabytes")),
            "environment": ask(one, "environment"),
        }
        for processes in ways.values():
            for connection, process in processes:
                connection.send("end")
                process.join(30)
    for way, rate in report["images_per_second"].items():
        ratio = report["ratio_to_one_process"][way]
        print(f"{way:<14}{rate:8,.0f} images/s   ratio {ratio:.3f}")
    for name, value in report["milliseconds_of_parts"].items():
        print(f"{name:<14}{value:10.2f} ms a step")
    for name, value in report["milliseconds_of_a_sum"].items():
        print(f"{name:<18}{value:10.3f} ms a sum over two workers")
    print(f"{counts} collectives a step; medians of {ROUNDS}")
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


def on_paper(report: dict) -> None:
    """Prints the share of all workers' time that is spent on computing."""
    compute = report["milliseconds_of_a_step"]["apart"]
    collectives = report["collectives_in_a_step"] + 1  # and the vote
    sums = report["milliseconds_of_a_sum"]
    (_, least), *_, (largest, most) = sums.items()
    megabytes = int(largest.split()[0]) / 1e6
    gradients = report["megabytes_of_gradients"]
    # Of two workers, each sends and receives twice, and half of it each time.
    here = least / 2, (most - least) / megabytes
    networks = {
        "ring, as measured here": (*here, False),
        "ring, 50 us, 10 Gbit/s": (0.05, 0.8, False),
        "tree, 50 us, 10 Gbit/s": (0.05, 0.8, True),
    }
    print(f"{'ms a message, ms a megabyte':<36}" + "  2    8   64  512 workers")
    for name, (latency, per_megabyte, tree) in networks.items():
        shares = []
        for workers in (2, 8, 64, 512):
            hops = 2 * (math.log2(workers) if tree else workers - 1)
            volume = 2 * (workers - 1) / workers * gradients
            talking = collectives * hops * latency + volume * per_megabyte
            shares.append(f"{100 * compute / (compute + talking):3.0f} %")
        kind = f"{name} ({latency:.2f}, {per_megabyte:.1f})"
        print(f"{kind:<36}" + "".join(shares))


def start(
    role: str, index: int, cores: list[int], folder: str, tf_config: str = ""
) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(
        target=work, args=(role, index, cores, folder, tf_config, there)
    )
    process.start()
    return here, process


def start_two(role: str, cores: list[int], folder: str) -> list:
    addresses = cluster.free_addresses(len(cores))
    processes = []
    for index, core in enumerate(cores):
        text = ""
        if role == "multi_worker":
            text = cluster.Cluster(addresses, index).to_tf_config()
        processes.append(start(role, index, [core], folder, text))
    return processes


def ask(processes: list, what: str) -> Any:
    """Has all `processes` do `what` together; of times, the longest."""
    for connection, _ in processes:
        connection.send(what)
    answers = [connection.recv() for connection, _ in processes]
    return max(answers) if isinstance(answers[0], float) else answers[0]


def work(
    role: str,
    index: int,
    cores: list[int],
    folder: str,
    tf_config: str,
    connection: Connection,
) -> None:
    """What each process does: as asked, until the end."""
    os.sched_setaffinity(0, cores)
    if tf_config:
        os.environ["TF_CONFIG"] = tf_config
    from keras_mnist_sum.utils.quiet import import_tensorflow

    import_tensorflow()

    import tensorflow as tf

    if role == "mirrored":
        [cpu] = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    from benchmarks.scaling_worker import Worker

    strategy = "single" if role == "apart" else role
    share = BATCH_SIZE // 2 if role == "apart" else BATCH_SIZE
    worker = Worker(strategy, share, STEPS, Path(folder) / f"{role}-{index}")
    while (what := connection.recv()) != "end":
        connection.send(worker.do(what))


if __name__ == "__main__":
    main()
