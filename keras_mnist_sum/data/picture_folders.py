"""Pictures in a folder for each digit."""

import functools
import re
from pathlib import Path

import numpy as np

from keras_mnist_sum.data import cache
from keras_mnist_sum.data.examples import ARRAY_SHAPE
from keras_mnist_sum.data.examples import MOST_EXAMPLES
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import NUM_DIGITS

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_MODES = ("1", "L", "P", "RGB", "LA", "RGBA")
_LARGEST = 2**20  # bytes of a file
_DIGITS = tuple(map(str, range(NUM_DIGITS)))


def find(files: list[Path]) -> dict[Path, list[Path]]:
    """Finds sets of pictures.

    Args:
        files: Paths of files.

    Returns:
        By the folder that holds the folders `0` to `9`: the pictures in those,
        sorted by the numbers in their names, as they were when each was
        written under its place in the set; then by digit.
    """
    sets: dict[Path, list[Path]] = {}
    for file in files:
        if file.suffix.lower() in SUFFIXES and file.parent.name in _DIGITS:
            sets.setdefault(file.parents[1], []).append(file)
    for pictures in sets.values():
        pictures.sort(key=_place)
    return sets


def _place(path: Path) -> tuple:
    words = re.split(r"(\d{1,18})", path.stem)
    return words[::2], [int(word) for word in words[1::2]], path.parent.name


def read(folder: Path, files: list[Path]) -> dict[str, np.ndarray]:
    """Reads pictures of 28 x 28 pixels.

    Args:
        folder: Where they are.
        files: Paths below it, each in a folder called as its digit is.

    Returns:
        `images`, uint8 of shape `(pictures, 28, 28)`, and `labels`, uint8 of
        shape `(pictures,)`.

    Raises:
        InputError: If one is damaged, of another size or not opaque.
    """
    if len(files) > MOST_EXAMPLES:
        raise InputError(
            f"A set has at most {MOST_EXAMPLES:,} pictures. "
            f"Received: {len(files):,} in {str(folder)!r}"
        )
    paths = [folder / file for file in files]
    labels = "".join(file.parent.name for file in files)
    return cache.cached(
        paths,
        functools.partial(_read, paths, labels),
        f"pictures {labels}",
        _LARGEST,
    )


def _read(paths: list[Path], labels: str) -> dict[str, np.ndarray]:
    return {
        "images": np.stack([_read_picture(path) for path in paths]),
        "labels": np.array(list(labels), "uint8"),
    }


def _read_picture(path: Path) -> np.ndarray:
    from keras_mnist_sum.utils import image_files  # Few sets are pictures.

    height, width = ARRAY_SHAPE
    image = image_files.read_picture(path, (width, height))
    if image.mode not in _MODES:
        raise InputError(
            "A picture of a set must have at most 8 bits a channel. "
            f"Received: {str(path)!r} of mode {image.mode}"
        )
    if np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise InputError(
            "A picture of a set must be opaque. "
            f"Received: {str(path)!r}, with pixels that are not"
        )
    return np.asarray(image.convert("L"))
