"""What all commands share: how they parse, how they fail."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from keras_mnist_sum.errors import InputError


class ArgumentParser(argparse.ArgumentParser):
    """A parser that answers a wrong command line with one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def run(command: Callable[[], None]) -> int:
    """Runs a command and returns its exit code.

    0: done. 2: the input was wrong, which one line on standard error says.
    130: interrupted from the keyboard. Any other exception is a defect of the
    program and keeps its traceback.
    """
    try:
        command()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return 0
