"""Tables of text: a row for each image, with its label and its pixels."""

import contextlib
import functools
import io
import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_mnist_sum.data import array_files
from keras_mnist_sum.data import cache
from keras_mnist_sum.data import examples
from keras_mnist_sum.data.examples import ARRAY_SHAPE
from keras_mnist_sum.data.examples import MOST_EXAMPLES
from keras_mnist_sum.errors import InputError

_PIXELS = math.prod(ARRAY_SHAPE)
_MOST_COLUMNS = _PIXELS + 3
_LONGEST = 40 * _MOST_COLUMNS  # characters of a line
_CHUNK = 5_000  # rows that are read at a time
_LABELS = ("label", "labels", "class", "digit", "target", "y")
_INDICES = ("", "id", "index", "imageid", "unnamed: 0")


def is_wide(path: Path) -> bool:
    """Whether the first line has as many columns as an image has pixels."""
    with array_files.open_unpacked(path) as file:
        first = file.readline(_LONGEST)
    return max(map(first.count, (b",", b";", b"\t"))) + 1 >= _PIXELS


def read(path: Path) -> dict[str, np.ndarray]:
    """Reads a table of images.

    Columns are separated by commas, semicolons or tabs. A first row may name
    them; else labels are in the first column, or in the last one if the first
    holds nothing but 0.

    Args:
        path: The file, compressed or not.

    Returns:
        `images` and `labels`, as `examples.as_examples` returns them.

    Raises:
        InputError: If it is no such table, has no labels or is too large.
    """
    try:
        with _opened(path):  # Before all of it is read, to know it again.
            pass
        return cache.cached([path], functools.partial(_read, path), "csv")
    except InputError:
        raise
    except array_files.READ_ERRORS as error:
        why = " ".join(str(error).split())
        raise InputError(
            f"A CSV file must hold a label and {_PIXELS} pixels in each row. "
            f"Received: {str(path)!r} ({why})"
        ) from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[list[str], str, Iterator[str]]]:
    """The names of the columns, if there are any, what separates them, and the
    rows."""
    with array_files.open_unpacked(path) as file:
        text = io.TextIOWrapper(file, "utf-8-sig")  # It closes the file.
        lines = _lines(text)
        first, second = next(lines, ""), next(lines, "")
        separator = max(",;\t", key=first.count)
        names = [name.strip(" \"'\r\n") for name in first.split(separator)]
        if not _PIXELS <= len(names) <= _MOST_COLUMNS:
            raise ValueError(f"it has {len(names)} columns")
        rows = [second] if second else []
        if all(map(_may_be_a_pixel, names)):
            names, rows = [], [first, *rows]
        yield names, separator, itertools.chain(rows, lines)


def _read(path: Path) -> dict[str, np.ndarray]:
    with _opened(path) as (names, separator, lines):
        chunks = []
        while rows := list(itertools.islice(lines, _CHUNK)):
            chunk = np.loadtxt(
                rows, "float32", comments=None, delimiter=separator, ndmin=2
            )
            with np.errstate(invalid="ignore"):
                small = chunk.astype("uint8")
            chunks.append(small if np.array_equal(small, chunk) else chunk)
    if not chunks:
        raise ValueError("it has no rows")
    return _split(names, _joined(chunks), path)


def _joined(chunks: list[np.ndarray]) -> np.ndarray:
    """All rows. Takes the chunks out of the list: they may be large."""
    if len({chunk.shape[1] for chunk in chunks}) > 1:
        raise ValueError("its rows have not equally many columns")
    end = sum(map(len, chunks))
    table = np.empty((end, chunks[0].shape[1]), np.result_type(*chunks))
    while chunks:
        chunk = chunks.pop()
        table[end - len(chunk) : end] = chunk
        end -= len(chunk)
    return table


def _lines(text: io.TextIOBase) -> Iterator[str]:
    """Lines that are not blank."""
    for count, line in enumerate(iter(lambda: text.readline(_LONGEST), "")):
        if count > MOST_EXAMPLES:  # The first may be the names.
            raise ValueError(f"it has more than {MOST_EXAMPLES:,} rows")
        if len(line) == _LONGEST:
            raise ValueError(f"its line {count + 1} is too long")
        if line.strip():
            yield line


def _may_be_a_pixel(text: str) -> bool:
    try:
        return 0 <= float(text) <= 255
    except ValueError:
        return False


def _in_order(pixels: list[int], names: list[str]) -> list[int]:
    """The columns of pixels in the order that their names say, if they do:
    a table may have them sorted as text, pixel10 before pixel2."""
    if not names:
        return pixels
    found = [re.search(r"(?:(\d+)x)?(\d+)$", names[i]) for i in pixels]
    numbers = [tuple(int(x or 0) for x in m.groups()) for m in found if m]
    if len(set(numbers)) < _PIXELS:
        return pixels
    rows, columns = ({number[i] for number in numbers} for i in (0, 1))
    side = math.isqrt(_PIXELS)
    if (len(rows), len(columns)) not in ((1, _PIXELS), (side, side)):
        return pixels
    return [pixel for _, pixel in sorted(zip(numbers, pixels, strict=True))]


def _split(
    names: list[str], table: np.ndarray, path: Path
) -> dict[str, np.ndarray]:
    columns = [name.lower() for name in names] or [""] * table.shape[1]
    if not names and len(columns) == _PIXELS + 1:
        first_is_label = table[:, 0].any() or not table[:, -1].any()
        columns = ["pixel"] * len(columns)
        columns[0 if first_is_label else -1] = "label"
    labels = [i for i, name in enumerate(columns) if name in _LABELS]
    others = {*labels, *(i for i, x in enumerate(columns) if x in _INDICES)}
    pixels = [i for i in range(len(columns)) if i not in others]
    if len(columns) == _PIXELS or (not labels and len(pixels) == _PIXELS):
        raise ValueError(
            "it has no labels, so that nothing can be scored on it; a "
            "table with labels can be named alone"
        )
    if len(labels) != 1 or len(pixels) != _PIXELS:
        raise ValueError(
            f"it has {len(labels)} columns of labels and {len(pixels)} others"
        )
    pixels = _in_order(pixels, names)
    if pixels == list(range(pixels[0], pixels[0] + _PIXELS)):
        # A slice takes no memory.
        images = table[:, pixels[0] : pixels[-1] + 1]
    else:
        images = table[:, pixels]
    where = repr(str(path))
    return {
        "images": examples.as_images(images, where),
        "labels": examples.as_labels(table[:, labels[0]], where),
    }
