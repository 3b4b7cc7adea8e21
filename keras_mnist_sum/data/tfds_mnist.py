"""MNIST by tensorflow-datasets: found, or downloaded and prepared, and read."""

import contextlib
import functools
import glob
import io
import logging
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum.data import cache
from keras_mnist_sum.data import downloads
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.utils import extras
from keras_mnist_sum.utils import locks
from keras_mnist_sum.utils.arguments import as_path
from keras_mnist_sum.utils.quiet import import_tensorflow
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
COUNTS = {"train": 60_000, "test": 10_000}
TEMPORARY = ".mnist-"  # so begins a folder in which a set is prepared
_DEFAULT = "~/tensorflow_datasets"
LARGEST = 2**27  # bytes of a file of records
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(
    ">2I", *IMAGE_SHAPE[1::-1]
)
_logger = logging.getLogger(__name__)


class NotAvailable(InputError):
    """Raised when MNIST is not prepared and cannot be downloaded.

    Attributes:
        reason: Why, in a few words.
    """

    def __init__(self, reason: str, folder: str) -> None:
        super().__init__(
            f"MNIST is not prepared and cannot be downloaded ({reason}). "
            "Use --data sample or give a path. "
            f"Received: data_dir={folder!r}"
        )
        self.reason = reason


def find_or_prepare(data_dir: str | bytes | os.PathLike | None) -> Path:
    """Finds MNIST, or downloads and prepares it.

    A set is there as a whole or not at all: it is prepared in a folder of its
    own, which is then moved into place. Of several processes that do so at
    once, one prepares it and the others use the result.

    Args:
        data_dir: As `sources.load_mnist` has it.

    Returns:
        The folder of the prepared version: `<data_dir>/mnist/<version>`,
        absolute.

    Raises:
        NotAvailable: If it is not prepared and cannot be.
        InputError: If something else stands in its place.
    """
    folder = as_folder(data_dir)
    try:
        return find(folder) or _prepare(folder)
    except downloads.DownloadError as error:
        raise NotAvailable(str(error), str(folder)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotAvailable(reason, str(folder)) from error


def as_folder(data_dir: str | bytes | os.PathLike | None) -> Path:
    """The folder of tensorflow-datasets, absolute; raises `NotAvailable` if
    there can be none."""
    if data_dir is None or (isinstance(data_dir, str) and not data_dir):
        data_dir = os.environ.get("TFDS_DATA_DIR") or _DEFAULT
    as_path(data_dir, "`data_dir` must be the path of a folder")
    name = os.fsdecode(data_dir)
    if "://" in name:
        raise NotAvailable("only a local folder is read", name)
    expanded = os.path.expanduser(name)
    if expanded.startswith("~"):
        raise NotAvailable("there is no home directory", name)
    return Path(os.path.realpath(expanded))


def find(folder: Path) -> Path | None:
    """The newest version that is prepared in a folder, or `None`.

    The folder may also be its `mnist`, or that of a version itself.
    `tfds.builder` would ask the network first.
    """
    # Of what does not exist, or is no folder, `glob` finds nothing.
    places = [(folder / "mnist", "*")]
    if folder.name == "mnist":
        places.append((folder, "*"))
    if folder.parent.name == "mnist":
        places.append((folder.parent, glob.escape(folder.name)))
    for versions, names in places:
        found = sorted(
            path.parent
            for path in versions.glob(f"{names}/dataset_info.json")
            if "incomplete" not in path.parent.name
        )
        if found:
            return found[-1]
    return None


def _prepare(folder: Path) -> Path:
    extras.check("tensorflow_datasets", "Preparing MNIST")
    # The download is ours: that of tensorflow-datasets waits for a silent
    # server without end.
    smallest = next(iter(FILES))
    with tempfile.TemporaryDirectory() as probe:  # Does a server answer?
        _download(smallest, probe)
    megabytes = sum(size for size, _ in FILES.values()) / 1e6
    _logger.info("data   downloading MNIST, %.0f MB, to %s", megabytes, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        if found := find(folder):
            return found
        for litter in folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(litter, ignore_errors=True)
        with tempfile.TemporaryDirectory(
            prefix=TEMPORARY, dir=folder
        ) as temporary:
            return _prepare_in(temporary, folder)


def _prepare_in(temporary: str, folder: Path) -> Path:
    import_tensorflow("MNIST as tensorflow-datasets prepares it")
    import tensorflow_datasets as tfds

    builder = tfds.builder("mnist", data_dir=temporary)
    version = Path("mnist", str(builder.version))
    if (folder / version).exists():
        raise InputError(
            "This folder is no whole set of tensorflow-datasets: remove it. "
            f"Received: {str(folder / version)!r}"
        )
    for name in FILES:
        _download(name, temporary)
    _logger.info("data   preparing it, half a minute")
    builder.URL = f"{temporary}/"  # Copied, as it is no http address.
    tfds.disable_progress_bar()
    with system_errors(), contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()
    (folder / version).parent.mkdir(exist_ok=True)
    os.replace(temporary / version, folder / version)
    return folder / version


def _download(name: str, folder: str) -> None:
    size, sha256 = FILES[name]
    downloads.fetch(MIRROR + name, Path(folder, name), size, sha256)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time into the block."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        locks.lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads one part of a prepared set.

    Args:
        folder: The folder of the version.
        part: `"train"` or `"test"`.

    Returns:
        uint8 images of shape `(examples, 28, 28)` and int64 labels of shape
        `(examples,)`.

    Raises:
        InputError: If it is damaged.
    """
    files = files_of(folder, part)
    if not files:
        raise InputError(
            "MNIST is read from TFRecord files, which tensorflow-datasets "
            f"prepares by default. Received: {str(folder)!r}, which has none "
            f"for {part!r}"
        )
    try:
        decode = functools.partial(_decode, files)
        found = cache.cached(files, decode, largest=LARGEST)
        images, labels = found["images"], found["labels"]
    except InputError:  # A package is missing, or does not start.
        raise
    except OSError as error:
        raise InputError(
            f"Cannot read the MNIST prepared in {str(folder)!r}. "
            f"Received: {error}"
        ) from error
    except Exception as error:  # A damaged file may raise anything.
        raise InputError(
            f"Cannot read the MNIST prepared in {str(folder)!r}: "
            "remove that folder to have it prepared again. "
            f"Received: {type(error).__name__}"
        ) from error
    if len(labels) != COUNTS[part]:
        raise InputError(
            f"MNIST has {COUNTS[part]} {part} images. "
            f"Received: {len(labels)} in {str(folder)!r}"
        )
    return images, labels


def files_of(folder: Path, part: str) -> list[Path]:
    """The files that `read` reads."""
    return sorted(folder.glob(f"mnist-{part}.tfrecord*"))


def _decode(files: list[Path]) -> dict[str, np.ndarray]:
    """Reads the records in batches, which is faster than one by one, as
    tensorflow-datasets does it."""
    import_tensorflow("MNIST as tensorflow-datasets prepares it")
    import tensorflow as tf

    if sum(map(_count_records, files)) > max(COUNTS.values()):
        raise ValueError("it has too many records")
    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }

    def decode_image(png: Any) -> Any:
        # Of another size it is not decoded: it may be any.
        is_small = tf.strings.substr(png, 0, len(_PNG)) == _PNG
        png = tf.where(is_small, png, b"")
        image = tf.io.decode_png(png, channels=IMAGE_SHAPE[-1])
        return tf.ensure_shape(image, IMAGE_SHAPE)

    @tf.autograph.experimental.do_not_convert
    def decode(records: Any) -> Any:
        examples = tf.io.parse_example(records, features)
        images = tf.map_fn(
            decode_image, examples["image"], fn_output_signature=tf.uint8
        )
        return images, examples["label"]

    dataset = tf.data.TFRecordDataset(list(map(str, files)), buffer_size=2**20)
    dataset = dataset.batch(500).map(decode, num_parallel_calls=2)
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return {
        "images": np.concatenate(images)[..., 0],
        "labels": np.concatenate(labels),
    }


def _count_records(file: Path) -> int:
    """Checks their lengths: TensorFlow believes what a record announces, and
    the process ends at a large one
    (https://www.tensorflow.org/tutorials/load_data/tfrecord).
    """
    content = file.read_bytes()
    count = place = 0
    while place < len(content):
        length = int.from_bytes(content[place : place + 8], "little")
        place += 8 + 4 + length + 4  # with two checksums
        count += 1
        if place > len(content) or not length:
            raise ValueError("it is cut off")
    return count
