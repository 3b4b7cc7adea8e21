"""Files of arrays, read as data and within limits.

What such a file claims is compared with its size before memory is asked for.
"""

import contextlib
import gzip
import io
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from typing import BinaryIO

import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.regular_files import open_regular
from keras_mnist_sum.utils.zip_archives import open_zip

# What a damaged file may raise, where NumPy does not read it.
READ_ERRORS = (OSError, EOFError, ValueError, zlib.error)
_GZIP = b"\x1f\x8b"
_LONGEST_HEADER = 2**14  # bytes of an array's
_MOST_ARRAYS = 1_000


@contextlib.contextmanager
def open_unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Opens a regular file to read, gunzipped if its content is compressed,
    whatever its name says.

    Raises:
        OSError: As for `open_regular`.
    """
    with open_regular(path) as file:
        compressed = file.read(2) == _GZIP
        file.seek(0)
        if not compressed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked  # type: ignore[misc]


def read_idx(path: Path, ndim: int, largest: int) -> np.ndarray:
    """Reads a file of bytes in the format of
    http://yann.lecun.com/exdb/mnist/, compressed or not.

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
        with open_unpacked(path) as file:
            return _read_idx(file, ndim, largest)
    except READ_ERRORS as error:
        raise InputError(
            f"Not a whole IDX file. Received: {str(path)!r} ({error})"
        ) from error


def _read_idx(file: IO[bytes], ndim: int, largest: int) -> np.ndarray:
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
    with _opened_npz(file) as archive:
        found = {entry.filename: entry for entry in archive.infolist()}
        wanted = [f"{name}.npy" for name in names] if names else found
        missing = [name for name in wanted if name not in found]
        if missing:
            raise ValueError(f"it lacks {min(missing)[:-4]}")
        if sum(found[name].file_size for name in wanted) > largest:
            raise ValueError("it is too large")
        return {
            name.removesuffix(".npy"): _read_entry(archive, found[name])
            for name in wanted
        }


def npz_headers(file: BinaryIO) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """The shape and dtype of each array in such an archive, by name.

    Raises:
        ValueError: As for `read_npz`, but for Python objects.
    """
    with _opened_npz(file) as archive:
        if len(archive.infolist()) > _MOST_ARRAYS:
            raise ValueError(f"it holds more than {_MOST_ARRAYS} files")
        return {
            entry.filename.removesuffix(".npy"): _header(archive, entry)
            for entry in archive.infolist()
            if entry.filename.endswith(".npy")
        }


@contextlib.contextmanager
def _opened_npz(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    try:
        with open_zip(file) as archive:
            yield archive
    except ValueError:
        raise
    except Exception as error:
        # A damaged archive surfaces as any of a dozen exceptions.
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _header(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype]:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is compressed in an unusual way")
    with archive.open(entry) as file:
        return _npy_header(file, entry.file_size, entry.filename)


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    _refuse_objects(_header(archive, entry)[1], entry.filename)
    with archive.open(entry) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):  # Reading to the end compares the checksum.
            raise ValueError(f"{entry.filename} is too long")
    return array


def read_npy(
    path: Path, largest: int, check: Callable[[tuple[int, ...], np.dtype], None]
) -> np.ndarray:
    """Reads an array of numbers or text from a file by `numpy.save`.

    Args:
        path: The file.
        largest: The most bytes that it may have.
        check: Called with the shape and the dtype, before the array is read,
            to raise an error.

    Raises:
        InputError: If it is not such a file, is not whole, holds Python objects
            or is too large.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > largest:
                raise ValueError("it is too large")
            shape, dtype = _npy_header(file, size, "it")
            _refuse_objects(dtype, "it")
            check(shape, dtype)
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # A damaged header may raise anything.
        why = " ".join(str(error).split())
        raise InputError(
            f"Not a whole .npy file. Received: {str(path)!r} ({why})"
        ) from error


def _npy_header(
    file: IO[bytes], size: int, name: str
) -> tuple[tuple[int, ...], np.dtype]:
    npy = np.lib.format
    # No more: a header may claim to be long, too.
    file = io.BytesIO(file.read(_LONGEST_HEADER))
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(file)
    else:
        raise ValueError(f"{name} is of version {version}")
    if not dtype.itemsize:  # However many there are, they take no bytes.
        raise ValueError(f"{name} has elements of no size")
    announced = math.prod(shape) * dtype.itemsize
    whole = file.tell() + announced == size
    if min(shape, default=0) < 0 or not (whole or dtype.hasobject):
        raise ValueError(f"{name} has not the size it announces")
    return shape, dtype


def _refuse_objects(dtype: np.dtype, name: str) -> None:
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
