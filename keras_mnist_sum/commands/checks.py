"""What commands refuse at once, before they import anything slow."""

import os
from collections.abc import Iterable
from pathlib import Path

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import Task


def check_data(data: str | None, data_dir: str | None) -> None:
    """Refuses data that is not there, before anything slow is imported.

    Raises:
        InputError: If it is empty or a path of nothing, or a folder of
            tensorflow-datasets is named for another source.
    """
    if "" in (data, data_dir):
        raise InputError(
            "--data and --data-dir must not be empty. "
            f"Received: --data {data!r} --data-dir {data_dir!r}"
        )
    if data in (None, "auto", "tfds"):
        return
    if data_dir or (data != "sample" and not os.path.exists(data)):
        from keras_mnist_sum.data.sources import load_mnist

        load_mnist(data, data_dir)  # It says why not.


def check_difference(difference: str | None) -> None:
    """Refuses a difference that there is not.

    Raises:
        InputError: If it is one.
    """
    if difference is not None:
        Task.named(difference=difference)


def check_output(path: Path, inputs: Iterable[str | Path | None]) -> None:
    """Checks that a file can be written, and replaces nothing that is read.

    Args:
        path: The file.
        inputs: The models and the data that a command reads.

    Raises:
        InputError: If it cannot be written, or is one of `inputs`, a file in
            such a folder, or a part of such a run.
    """
    from keras_mnist_sum.formats.run_directory import Run
    from keras_mnist_sum.utils import atomic_files

    atomic_files.check_file(path)
    written = Path(os.path.realpath(path))
    for given in inputs:
        if not given:
            continue
        read = Path(os.path.realpath(given))
        run = Run(read)
        replaces = read == written or (
            read in written.parents and written.exists()
        )
        if run.has_begun:
            parts = {x for x in vars(run).values() if x != run.path}
            replaces = bool(parts & {written, *written.parents})
        if replaces:
            raise InputError(
                "What is read would be replaced: name another file to write. "
                f"Received: {str(path)!r} for {str(given)!r}"
            )
