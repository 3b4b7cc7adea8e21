"""Files of arrays, IDX and NumPy archives, read as data and within limits.

What such a file claims is compared with its size before memory is asked for.
"""

import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_mnist_sum.errors import InputError


def read_idx(path: Path, ndim: int, largest: int) -> np.ndarray:
    """Reads a file of bytes in the format of
    http://yann.lecun.com/exdb/mnist/, compressed if it is called `.gz`.

    Args:
        path: The file.
        ndim: Number of dimensions that the array must have.
        largest: The most bytes that it may have.

    Returns:
        A uint8 array.

    Raises:
        InputError: If it is not such a file, is not whole or too large.
    """
    try:
        compressed = path.suffix == ".gz"
        with gzip.open(path) if compressed else open(path, "rb") as file:
            return _read_idx(file, ndim, largest)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            f"Not a whole IDX file. Received: {str(path)!r} ({error})"
        ) from error


def _read_idx(
    file: BinaryIO | gzip.GzipFile, ndim: int, largest: int
) -> np.ndarray:
    header = file.read(4 + 4 * ndim)
    if len(header) < 4 + 4 * ndim:
        raise ValueError("its header is cut short")
    magic, *shape = struct.unpack(f">{1 + ndim}I", header)
    if magic != 0x0800 + ndim:
        raise ValueError(f"it starts with {header[:4].hex()}")
    size = math.prod(shape)
    if size > largest:
        raise ValueError(f"its header claims a shape of {tuple(shape)}")
    content = bytearray()  # Grows with what is there, not announced.
    while len(content) <= size and (chunk := file.read(2**20)):
        content += chunk
    if len(content) != size:
        words = "more" if len(content) > size else f"only {len(content)}"
        raise ValueError(f"{size} bytes announced, {words} found")
    return np.frombuffer(content, np.uint8).reshape(shape)


def read_npz(
    file: BinaryIO, names: Iterable[str] | None, largest: int
) -> dict[str, np.ndarray]:
    """Reads arrays of numbers and text from an archive by `numpy.savez`.

    Args:
        file: An open file that can be sought.
        names: Which arrays; `None` for all.
        largest: The most bytes that they may have together.

    Returns:
        The arrays by name, in the memory order that the archive has.

    Raises:
        ValueError: If it is not such an archive, is not whole, lacks an array,
            holds Python objects or is too large. The message says why, in a
            few words.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            found = {entry.filename: entry for entry in archive.infolist()}
            wanted = [f"{name}.npy" for name in names] if names else found
            missing = [name for name in wanted if name not in found]
            if missing:
                raise ValueError(f"it lacks {min(missing)[:-4]}")
            if sum(found[name].file_size for name in wanted) > largest:
                raise ValueError("it is too large")
            return {
                name.removesuffix(".npy"): _read_npy(archive, found[name])
                for name in wanted
            }
    except ValueError:
        raise
    except Exception as error:
        # A damaged archive surfaces as any of a dozen exceptions.
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _read_npy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is compressed in an unusual way")
    npy = np.lib.format
    with archive.open(entry) as file:
        version = npy.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = npy.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, _, dtype = npy.read_array_header_2_0(file)
        else:
            raise ValueError(f"{entry.filename} is of version {version}")
        if dtype.hasobject:
            raise ValueError(f"{entry.filename} holds Python objects")
        announced = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or (
            file.tell() + announced != entry.file_size
        ):
            raise ValueError(f"{entry.filename} has not the size it announces")
    with archive.open(entry) as file:
        array = npy.read_array(file, allow_pickle=False)
        if file.read(1):  # Reading to the end compares the checksum.
            raise ValueError(f"{entry.filename} is too long")
    return array
