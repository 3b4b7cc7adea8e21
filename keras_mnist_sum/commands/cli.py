"""What all commands share: how they start, what flags they have, how they fail.

A command is a module here with `HELP`, a line; `add_arguments(parser)`; and
`run(values)`, which returns an exit code or `None`. Modules import slow
packages in `run`, so that `--help` takes a moment.
"""

import argparse
import dataclasses
import logging
import sys
import types
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NoReturn
from typing import get_args
from typing import get_origin

import keras_mnist_sum
from keras_mnist_sum import presets
from keras_mnist_sum.commands import checks
from keras_mnist_sum.commands.exit_codes import run
from keras_mnist_sum.config import DIFFERENCES
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import one_line
from keras_mnist_sum.utils import extras
from keras_mnist_sum.utils import fast_imports
from keras_mnist_sum.utils.console import setup_logging
from keras_mnist_sum.utils.settings import names_of
from keras_mnist_sum.utils.settings import numbers_of
from keras_mnist_sum.utils.shell import called_as
from keras_mnist_sum.utils.shell import quote as quote  # for commands
from keras_mnist_sum.utils.shell import relative

if TYPE_CHECKING:
    from keras_mnist_sum.data.mnist import Mnist


class ArgumentParser(argparse.ArgumentParser):
    """A parser that answers a wrong command line with one line."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.add_argument(
            "--version",
            action="version",
            version=f"keras_mnist_sum {keras_mnist_sum.__version__}",
            help="show the version of the package and exit",
        )

    def error(self, message: str) -> NoReturn:
        line = one_line(message, 500)
        self.exit(2, f"error: {line} (see {self.prog} --help)\n")


def main(
    command: types.ModuleType, script: str, arguments: list[str] | None
) -> int:
    """Runs one command as a script of its own, and returns the exit code.

    Args:
        command: The command's module.
        script: Path of the script.
        arguments: What follows its name. Default: those of this process.
    """
    argv = sys.argv[1:] if arguments is None else arguments
    prog = f"python {relative(script)}"
    if arguments is None:
        prog, fast_imports.is_command = called_as(prog), True

    def parse() -> argparse.Namespace:
        parser = ArgumentParser(prog=prog)
        command.add_arguments(parser)
        parser.set_defaults(run=command.run, prog=parser.prog)
        return parser.parse_args(argv)

    return run_parsed(parse, argv)


def run_parsed(parse: Callable[[], argparse.Namespace], argv: list[str]) -> int:
    """Parses a command line, runs its command, and returns the exit code.

    Args:
        parse: Returns what was parsed, with the command's `run` and `prog`, how
            it was called. The command finds `argv` there, too.
        argv: What followed `prog` on the command line.
    """

    def command() -> int | None:
        try:
            values = parse()
        except SystemExit:  # --help, which may find nobody to read it.
            sys.stdout.flush()
            raise
        values.argv = argv
        name = values.run.__module__.rpartition(".")[2].replace("_", "-")
        with (
            setup_logging(getattr(values, "verbose", 1)),
            extras.needed(f"`{name}`"),
        ):
            return values.run(values)

    return run(command)


def add_config_arguments(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    names: Collection[str] = (),
    default: str = "",
) -> None:
    """Adds a flag for each field of `Config` that has one, for `config_of`.

    Args:
        parser: Where to add them.
        names: Only these fields. Default: all.
        default: What help says of the default, where there is one. Default:
            what the presets have.
    """
    for field in dataclasses.fields(Config):
        if field.metadata["flag"] and (not names or field.name in names):
            parser.add_argument(
                f"--{field.name.replace('_', '-')}",
                help=f"{field.metadata['help']}{_default(field.name, default)}",
                **_kind(field),
            )


def path(text: str) -> Path:
    """A path of the command line. An empty one, often a variable of the shell
    that is not set, would mean the working directory."""
    if not text:
        raise argparse.ArgumentTypeError("a path must not be empty")
    return Path(text)


def add_difference_argument(parser: argparse.ArgumentParser) -> None:
    """Adds `--difference`, for `open_model`."""
    parser.add_argument(
        "--difference",
        metavar="|".join(DIFFERENCES),
        help="which difference the model computes, for a file that does not "
        "say so (default: absolute)",
    )


def _kind(field: dataclasses.Field) -> dict[str, Any]:
    """How `add_argument` reads a field's value."""
    kind: Any = field.type
    if isinstance(kind, types.UnionType):  # With None.
        kind = get_args(kind)[0]
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(kind) is tuple:
        return {"type": names_of, "metavar": "NAME,NAME"}
    if get_origin(kind) is dict:
        return {"type": numbers_of, "metavar": "NAME=X,NAME=X"}
    numbers = {int: "N", float: "X"}
    metavar = (
        "|".join(field.metadata["choices"])
        or field.metadata["unit"].upper()
        or numbers.get(kind, field.name.upper())
    )
    return {"type": kind, "metavar": metavar}


def _default(name: str, words: str) -> str:
    value = getattr(presets.PRESETS[presets.DEFAULT].config, name)
    if value is None:  # The field's help says what that means.
        return ""
    if not words:
        values = {getattr(x.config, name) for x in presets.PRESETS.values()}
        words = "the preset's, " if len(values) > 1 else ""
        if isinstance(value, bool):
            value = "on" if value else "off"
        words += ",".join(value) if isinstance(value, tuple) else str(value)
    return f" (default: {words})"


def config_of(values: argparse.Namespace, base: Config) -> Config:
    """`base` with the values of the flags that were given.

    Args:
        values: What was parsed by flags that `add_config_arguments` added.
        base: The config to start from.

    Raises:
        InputError: If a value cannot be used, or two contradict each other.
    """
    changes = {
        field.name: value
        for field in dataclasses.fields(base)
        if field.metadata["flag"]
        and (value := getattr(values, field.name, None)) is not None
    }
    if "steps" in changes:
        if "epochs" in changes:
            raise InputError(
                "--steps and --epochs both say how long a run is. Received: "
                f"--steps {values.steps} --epochs {values.epochs:g}"
            )
        changes["epochs"] = None
    return dataclasses.replace(base, **changes)


def doubt_of_sample(mnist: "Mnist", configs: Iterable[Config | None]) -> str:
    """What is to be known of the sample as a test set, or an empty string.

    Args:
        mnist: The data that models are scored on.
        configs: Theirs, where they are known.
    """
    if mnist.source != "sample" or all(
        x and x.data == "sample" and x.initial_weights is None for x in configs
    ):
        return ""
    return (
        "the sample's test images are training images of MNIST, which this "
        "model may have been trained on"
    )


def load_data(
    values: argparse.Namespace,
    config: Config | None = None,
    test_only: bool = False,
) -> "Mnist":
    """Loads MNIST from where the flags `--data` and `--data-dir` say, else from
    where a run had it, and logs what is to be known of it.

    Args:
        values: What was parsed.
        config: The run's, if there is one.
        test_only: As for `load_mnist`.

    Raises:
        InputError: If the data cannot be used.
    """
    from keras_mnist_sum.data import plausibility
    from keras_mnist_sum.data.sources import load_mnist
    from keras_mnist_sum.formats import pretrained

    data, data_dir = values.data, values.data_dir
    if config and data in (None, config.data):
        data = config.data
        # On another machine it may lie elsewhere.
        if config.data_dir and Path(config.data_dir).is_dir():
            data_dir = data_dir or config.data_dir
    checks.check_data(data, data_dir)
    mnist = load_mnist(data or "auto", data_dir, test_only)
    for warning in plausibility.warnings(mnist, pretrained.read_digits):
        logging.getLogger(__name__).warning(warning)
    return mnist
