"""The command `launch`: trains in several processes on this machine."""

import argparse

from keras_mnist_sum.distribution import launcher

HELP = "train in several processes on this machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this command takes."""
    parser.description = (
        "Starts several processes that train together and watches them: when "
        "one fails, all go on again from the newest checkpoint."
    )
    parser.usage = (
        "%(prog)s --workers N [--max-restarts R] [--timeout S] "
        "[--share-network] -- train --run-dir DIR ..."
    )
    parser.add_argument(
        "--workers",
        type=int,
        required=True,
        metavar="N",
        help="how many processes train together",
    )
    parser.add_argument(
        "--max-restarts",
        type=int,
        default=3,
        metavar="R",
        help="how often all may be started again (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="S",
        help="seconds in which a worker must get a step done, or start, or "
        "score the model (default: %(default).0f)",
    )
    parser.add_argument(
        "--share-network",
        action="store_true",
        help="let workers use this machine's network, and whoever reaches "
        "their ports use them (default: a network of their own)",
    )
    parser.add_argument(
        "program",
        nargs="+",
        help="the command train, or a Python program, and its arguments",
    )


def run(values: argparse.Namespace) -> int:
    """Starts the processes, and returns the exit code."""
    program = values.program
    if program[0] == "train":
        program = ["-m", "keras_mnist_sum", *program]
    return launcher.launch(
        program,
        values.workers,
        values.max_restarts,
        values.timeout,
        values.share_network,
    )
