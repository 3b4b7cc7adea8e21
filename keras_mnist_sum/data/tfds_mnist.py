"""MNIST by tensorflow-datasets: found, or downloaded and prepared, and read."""

import contextlib
import fcntl
import functools
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum import task
from keras_mnist_sum.data import cache
from keras_mnist_sum.data import downloads
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.quiet import system_errors

# The host that tensorflow-datasets downloads MNIST from, and the sizes and
# checksums that it knows.
MIRROR = "https://storage.googleapis.com/cvdf-datasets/mnist/"
FILES = {
    "t10k-labels-idx1-ubyte.gz": (
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "train-labels-idx1-ubyte.gz": (
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "t10k-images-idx3-ubyte.gz": (
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "train-images-idx3-ubyte.gz": (
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
}
_COUNTS = {"train": 60_000, "test": 10_000}
_ASIDE = ".mnist-"
_DEFAULT = "~/tensorflow_datasets"


class NotAvailable(InputError):
    """Raised when MNIST is neither prepared nor to be had.

    Attributes:
        reason: Why, in a few words.
    """

    def __init__(self, reason: str, received: str):
        super().__init__(
            f"MNIST is not prepared and cannot be downloaded ({reason}). "
            f"Use --data sample or give a path. Received: {received}"
        )
        self.reason = reason


@dataclass(frozen=True)
class Prepared:
    """What tensorflow-datasets holds.

    Attributes:
        arrays: `train_images`, `train_labels`, `test_images`, `test_labels`,
            as `sources.Mnist` has them.
        version: The version of the prepared set.
        data_dir: The folder that it is in, absolute.
    """

    arrays: dict[str, Any]
    version: str
    data_dir: str


def load(
    data_dir: str | None, test_only: bool, say: Callable[[str], object]
) -> Prepared:
    """Reads MNIST, after downloading and preparing it if that is needed.

    A set is there as a whole or not at all: it is prepared in a folder of its
    own, which then takes its place. Of several processes that do so at once,
    one succeeds and the others use what it prepared.

    Args:
        data_dir: As `sources.load_mnist` has it, and `test_only`.
        say: Called with a line when a download begins.

    Raises:
        NotAvailable: If it is not prepared and cannot be.
        InputError: If what is prepared is damaged.
    """
    name = data_dir or os.environ.get("TFDS_DATA_DIR") or _DEFAULT
    received = f"data_dir={name!r}"
    if "://" in name:
        raise NotAvailable("only a local folder is read", received)
    expanded = os.path.expanduser(name)
    if expanded.startswith("~"):
        raise NotAvailable("there is no home directory", received)
    folder = Path(os.path.realpath(expanded))
    try:
        version = _find(folder) or _prepare(folder, say)
    except (downloads.DownloadError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        received = f"data_dir={str(folder)!r}"
        raise NotAvailable(reason, received) from error
    try:
        arrays = _read(version, test_only)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"Cannot read the MNIST prepared in {str(version)!r}: "
            "remove that folder to have it prepared again. "
            f"Received: {type(error).__name__}"
        ) from error
    return Prepared(arrays, version.name, str(folder))


def _find(folder: Path) -> Path | None:
    """The folder of the newest prepared version in `folder`, or `None`.

    Told from the folder alone: `tfds.builder` asks the network first.
    """
    versions = folder / "mnist"
    if not versions.exists():
        return None
    found = sorted(
        path.parent
        for path in versions.glob("*/dataset_info.json")
        if "incomplete" not in path.parent.name
    )
    return found[-1] if found else None


def _prepare(folder: Path, say: Callable[[str], object]) -> Path:
    """Downloads MNIST and has tensorflow-datasets prepare it in `folder`;
    returns as `_find`.

    The download is ours: that of tensorflow-datasets waits for a silent
    server without end.
    """
    import tensorflow_datasets as tfds

    smallest, known = next(iter(FILES.items()))
    with tempfile.NamedTemporaryFile() as file:  # Does a server answer?
        downloads.fetch(MIRROR + smallest, Path(file.name), *known)
    megabytes = sum(size for size, _ in FILES.values()) / 1e6
    say(f"data   downloading MNIST, {megabytes:.0f} MB, to {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        found = _find(folder)
        if found is not None:
            return found
        for litter in folder.glob(f"{_ASIDE}*"):
            shutil.rmtree(litter, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_ASIDE, dir=folder) as aside:
            builder = tfds.builder("mnist", data_dir=aside)
            version = Path("mnist", str(builder.version))
            if (folder / version).exists():
                raise InputError(
                    "This folder is no whole set of tensorflow-datasets: "
                    f"remove it. Received: {str(folder / version)!r}"
                )
            for name, known in FILES.items():
                downloads.fetch(MIRROR + name, Path(aside, name), *known)
            say("data   preparing it, half a minute")
            builder.URL = f"{aside}/"  # Copied, as it is no http address.
            tfds.disable_progress_bar()
            with system_errors(), contextlib.redirect_stdout(io.StringIO()):
                builder.download_and_prepare()
            (folder / version).parent.mkdir(exist_ok=True)
            os.replace(aside / version, folder / version)
    return folder / version


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Waits until no other process is in such a block for `folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(version: Path, test_only: bool) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for part, count in _COUNTS.items():
        if test_only and part == "train":
            size = task.IMAGE_SIZE
            arrays["train_images"] = np.zeros((0, size, size), "uint8")
            arrays["train_labels"] = np.zeros(0, "uint8")
            continue
        files = sorted(version.glob(f"mnist-{part}.tfrecord*"))
        if not files:
            raise InputError(
                "MNIST is read from TFRecord files, which tensorflow-datasets "
                f"prepares by default. Received: {str(version)!r}, which has "
                f"none for {part!r}"
            )
        found = cache.cached(files, functools.partial(_decode, files))
        if len(found["labels"]) != count:
            raise InputError(
                f"MNIST has {count} {part} images. "
                f"Received: {len(found['labels'])} in {str(version)!r}"
            )
        arrays.update({f"{part}_{name}": x for name, x in found.items()})
    return arrays


def _decode(files: list[Path]) -> dict[str, np.ndarray]:
    """Reads the records in batches, which is faster than one by one, as
    tensorflow-datasets does it."""
    import tensorflow as tf

    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }

    def decode_image(png: Any) -> Any:
        image = tf.io.decode_png(png, channels=1)
        return tf.ensure_shape(image, (28, 28, 1))

    @tf.autograph.experimental.do_not_convert
    def decode(records: Any) -> Any:
        examples = tf.io.parse_example(records, features)
        images = tf.map_fn(
            decode_image, examples["image"], fn_output_signature=tf.uint8
        )
        return images, examples["label"]

    dataset = tf.data.TFRecordDataset(list(map(str, files)), buffer_size=2**20)
    dataset = dataset.batch(500)
    dataset = dataset.map(decode, num_parallel_calls=2)
    images, labels = zip(*dataset.as_numpy_iterator())
    return {
        "images": np.concatenate(images)[..., 0],
        "labels": np.concatenate(labels),
    }
