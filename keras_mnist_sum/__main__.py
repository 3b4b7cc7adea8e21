"""`python -m keras_mnist_sum COMMAND`: see `--help`."""

import sys

from keras_mnist_sum import cli
from keras_mnist_sum import launching


def main(arguments: list[str] | None = None) -> int:
    parser = cli.ArgumentParser(prog="python -m keras_mnist_sum")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    launch = commands.add_parser(
        "launch",
        help="train in several processes on this machine",
        description="Starts several processes that train together and watches "
        "them: when one fails, all go on again from the newest checkpoint.",
        usage="python -m keras_mnist_sum launch --workers N [--max-restarts R] "
        "[--timeout S] -- train.py --run-dir DIR ...",
    )
    add = launch.add_argument
    add("--workers", type=int, required=True, metavar="N")
    add(
        "--max-restarts",
        type=int,
        default=3,
        metavar="R",
        help="how often all may be started again (default: %(default)s)",
    )
    add(
        "--timeout",
        type=float,
        default=300.0,
        metavar="S",
        help="seconds in which a worker must get a step done, the longest "
        "start and final scoring included (default: %(default).0f)",
    )
    add("program", nargs="+", help="a Python program and its arguments")
    values = vars(parser.parse_args(arguments))

    def command() -> int:
        return launching.launch(
            values["program"],
            values["workers"],
            values["max_restarts"],
            values["timeout"],
        )

    return cli.run(command)


if __name__ == "__main__":
    sys.exit(main())
