"""`keras-mnist-sum COMMAND`, or `python -m keras_mnist_sum COMMAND`."""

import argparse
import importlib
import sys

from keras_mnist_sum.commands import cli
from keras_mnist_sum.utils import fast_imports
from keras_mnist_sum.utils.shell import called_as

COMMANDS = (
    "train",
    "evaluate",
    "compare",
    "predict",
    "demo",
    "export",
    "show-data",
    "launch",
)


def main(arguments: list[str] | None = None) -> int:
    """Runs a command, and returns its exit code."""
    argv = sys.argv[1:] if arguments is None else arguments
    prog = "python -m keras_mnist_sum"
    if arguments is None:
        prog, fast_imports.is_command = called_as(prog), True

    def parse() -> argparse.Namespace:
        parser = cli.ArgumentParser(prog=prog)
        commands = parser.add_subparsers(required=True, metavar="COMMAND")
        # Others need not be imported where one is named.
        named = [name for name in COMMANDS if argv[:1] == [name]]
        for name in named or COMMANDS:
            command = importlib.import_module(
                f"keras_mnist_sum.commands.{name.replace('-', '_')}"
            )
            one = commands.add_parser(name, help=command.HELP)
            command.add_arguments(one)
            one.set_defaults(run=command.run, prog=one.prog)
        return parser.parse_args(argv or ["--help"])

    return cli.run_parsed(parse, argv[1:])


if __name__ == "__main__":
    sys.exit(main())
