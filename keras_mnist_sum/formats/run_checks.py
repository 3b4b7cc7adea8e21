"""Whether a run may begin, or go on, in a directory."""

import dataclasses
import os
import re
import time
from typing import TYPE_CHECKING

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.atomic_files import is_partial
from keras_mnist_sum.utils.atomic_files import why_not_for_tensorflow
from keras_mnist_sum.utils.atomic_files import why_not_writable

if TYPE_CHECKING:
    from keras_mnist_sum.formats.run_directory import Run

# How earlier versions called what was not whole yet.
OLD_PARTIAL = re.compile(r"\.partial-\d+-.+")


def check_clock() -> None:
    """Refuses a clock with which no `.keras` file, a zip archive, is written.

    Raises:
        InputError: If it shows a year before 1980 or after 2107.
    """
    now = time.localtime()
    if not 1980 <= now.tm_year <= 2107:
        raise InputError(
            "A model's file cannot bear a date before 1980 or after 2107: set "
            "the clock. "
            f"Received: {time.asctime(now)}"
        )


def check_foreign_files(run: "Run") -> None:
    """Refuses a directory of no run that holds anything.

    Raises:
        InputError: If there is something that no killed run left.
    """
    # What a run leaves that was killed before its config was written.
    ours = {run.checkpoints, run.lock_file}
    others = {
        str(path.relative_to(run.path))
        for pattern in ("*", f"{run.checkpoints.name}/*")
        for path in run.path.glob(pattern)
        if path not in ours
        and not is_partial(path.name)
        and not OLD_PARTIAL.fullmatch(path.name)
    }
    if others:
        raise InputError(
            "`run_dir` must be new, empty, or a run to go on with, so that "
            f"nothing is overwritten. Received: {str(run.path)!r}, which "
            f"holds {min(others)}"
        )


def check_places(run: "Run") -> None:
    """Refuses what would keep a run from writing, if only in the end.

    Raises:
        InputError: If something else is where a file or a folder of the run
            belongs, or TensorFlow refuses to write there.
    """
    if why := why_not_for_tensorflow(run.path):
        raise InputError(
            "`run_dir` must be a path that TensorFlow takes as it is. "
            f"Received: {str(run.path)!r} ({why})"
        )
    parent = run.path.absolute()
    while not os.path.lexists(parent):
        parent = parent.parent
    if not parent.is_dir():
        raise InputError(
            "`run_dir` must be writable. "
            f"Received: {str(run.path)!r} ({str(parent)!r} is no folder)"
        )
    files = [run.config, run.environment, run.history, run.steps, run.model]
    files += [run.results, run.overview, run.curves, run.lock_file]
    folders = [run.checkpoints, *run.saved_model.parents[:2]]
    for path in (*files, *folders, run.saved_model, run.tensorboard):
        kind = "plain file" if path in files else "folder"
        fits = path.is_file() if path in files else path.is_dir()
        if os.path.lexists(path) and not fits:
            raise InputError(
                f"{path.relative_to(run.path)} in `run_dir` must be a {kind}. "
                f"Received: {str(path)!r}"
            )


def check_writable(run: "Run") -> None:
    """Refuses a directory where nothing can be written. It tries.

    Raises:
        InputError: If the system refuses.
    """
    for folder in (run.checkpoints, *run.saved_model.parents[:2]):
        if why := why_not_writable(folder):
            raise InputError(
                "`run_dir` must be writable. "
                f"Received: {str(run.path)!r} ({why})"
            )


def check_config(run: "Run", config: Config) -> None:
    """Refuses a run with another config than it began with, or with other
    models.

    Raises:
        InputError: If they differ, or that of the run cannot be read.
    """
    begun = run.read_config()
    for words, before, now in (
        (
            "model` must be the one",
            begun.initial_weights,
            config.initial_weights,
        ),
        (
            "teachers` must be those",
            begun.teachers_sha256,
            config.teachers_sha256,
        ),
    ):
        if before != now:
            raise InputError(
                f"`{words} that this run began with, if any. Received: "
                f"{'others' if before and now else 'some' if now else 'none'} "
                f"for {str(run.path)!r}, which began with "
                f"{'some' if before else 'none'}"
            )
    found = differences(begun, config)
    if found:
        raise InputError(
            "`run_dir` belongs to a run with another config. Received: "
            f"{str(run.path)!r} with {', '.join(found)}"
        )


def differences(begun: Config, config: Config) -> list[str]:
    """In what `config` differs from that of a run that has begun.

    The folder of tensorflow-datasets may be another: checkpoints know what was
    in it. What `config` leaves open is not compared.
    """
    config = config.as_begun(begun)
    left_open = {"data_dir"}
    if config.data == "auto" or begun.data == os.path.abspath(config.data):
        left_open.add("data")
    if config.epochs is not None:
        left_open |= {"epochs", "steps"}
    return [
        f"{field.name}={before!r}, not {now!r}"
        for field in dataclasses.fields(begun)
        for before, now in [
            (getattr(begun, field.name), getattr(config, field.name))
        ]
        if before != now and field.name not in left_open
    ]
