"""Zip archives of others, opened within limits."""

import zipfile
from typing import BinaryIO

_LARGEST_DIRECTORY = 2**20  # bytes; that of 10,000 files


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """Opens the zip archive in an open file.

    `zipfile` reads the directory of an archive as a whole, and makes an object
    of each entry: a large one is refused before.

    Raises:
        ValueError: If its directory is too large. Damage surfaces as any of a
            dozen exceptions.
    """
    # There is no public name for what `ZipFile` itself reads first.
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end and end[zipfile._ECD_SIZE] > _LARGEST_DIRECTORY:  # type: ignore[attr-defined]
        raise ValueError("it holds too many files")
    file.seek(0)
    return zipfile.ZipFile(file)
