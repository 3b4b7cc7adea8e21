"""Trains a model: `python train.py --help`."""

import sys

from keras_mnist_sum.commands import cli
from keras_mnist_sum.commands import train


def main(arguments: list[str] | None = None) -> int:
    """Runs the command `train`, and returns its exit code."""
    return cli.main(train, __file__, arguments)


if __name__ == "__main__":
    sys.exit(main())
