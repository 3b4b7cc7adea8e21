"""Scores a model on every test pair: `python evaluate.py --help`."""

import sys

from keras_mnist_sum.commands import cli
from keras_mnist_sum.commands import evaluate


def main(arguments: list[str] | None = None) -> int:
    """Runs the command `evaluate`, and returns its exit code."""
    return cli.main(evaluate, __file__, arguments)


if __name__ == "__main__":
    sys.exit(main())
