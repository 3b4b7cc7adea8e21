"""`python -m keras_mnist_sum COMMAND`: see `--help`."""

import importlib
import sys

from keras_mnist_sum.commands import cli

COMMANDS = (
    "train",
    "evaluate",
    "predict",
    "demo",
    "export",
    "show-data",
    "launch",
)


def main(arguments: list[str] | None = None) -> int:
    """Runs a command, and returns its exit code."""
    parser = cli.ArgumentParser(prog="python -m keras_mnist_sum")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    argv = sys.argv[1:] if arguments is None else arguments
    # Others need not be imported where one is named.
    named = [name for name in COMMANDS if argv[:1] == [name]]
    for name in named or COMMANDS:
        command = importlib.import_module(
            f"keras_mnist_sum.commands.{name.replace('-', '_')}"
        )
        one = commands.add_parser(name, help=command.HELP)
        command.add_arguments(one)
        one.set_defaults(run=command.run, prog=one.prog)
    return cli.run_parsed(parser.parse_args(argv), argv[1:])


if __name__ == "__main__":
    sys.exit(main())
