"""Images and labels in any usual form, brought into the one that `Mnist` has.

The same data gives the same arrays, to the bit, in whatever form it comes.
"""

import math
from numbers import Number
from typing import Any

import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import NUM_DIGITS

ARRAY_SHAPE = IMAGE_SHAPE[:2]  # of an image in an array: gray, no channels
MOST_EXAMPLES = 300_000  # that a file may hold; EMNIST's digits fit
_PIXELS = math.prod(ARRAY_SHAPE)
_ROWS = 4_096  # converted at a time, to need little memory


def as_examples(
    images: Any, labels: Any, where: str = "the arguments"
) -> tuple[np.ndarray, np.ndarray]:
    """Images with their labels, as `Mnist` has them.

    Args:
        images: As for `as_images`.
        labels: As for `as_labels`, one for each image.
        where: What an error says of where they come from.

    Returns:
        uint8 images of shape `(examples, 28, 28)` and uint8 labels of shape
        `(examples,)`.

    Raises:
        InputError: If they cannot be these. The message says what was found
            `where`.
    """
    images, labels = as_images(images, where), as_labels(labels, where)
    if len(images) != len(labels) or not len(images):
        raise InputError(
            "There must be a label for each image, and at least one. "
            f"Received: {len(images)} images and {len(labels)} labels in "
            f"{where}"
        )
    return images, labels


def as_images(images: Any, where: str = "the arguments") -> np.ndarray:
    """Images, as `Mnist` has them.

    Args:
        images: What NumPy makes numbers of, of shape `(examples, 28, 28)`,
            `(examples, 784)`, or with an axis of one channel, or of three equal
            ones, last or second. If the largest value is 1 or less, they are
            taken as 0-1, else as 0-255.
        where: As for `as_examples`.

    Returns:
        A uint8 array of shape `(examples, 28, 28)`, rows first in memory; the
        argument itself if it is one.

    Raises:
        InputError: If they cannot be these.
    """
    array = _as_array(images)
    if array is not None and array.dtype.kind in "biuf" and array.ndim > 1:
        array = _without_channels(array)
        if array.shape[1:] in ((_PIXELS,), (_PIXELS, 1), (1, _PIXELS)):
            array = array.reshape(-1, *ARRAY_SHAPE)
        if array.shape[1:] == ARRAY_SHAPE:
            return _as_bytes(array, where)
    raise InputError(
        "Images must be numbers of shape (examples, "
        f"{', '.join(map(str, ARRAY_SHAPE))}) or (examples, {_PIXELS}). "
        f"Received: {_kind(images)} in {where}"
    )


def _without_channels(array: np.ndarray) -> np.ndarray:
    if array.ndim == 4:
        # Of no channels there is no first.
        for axis in (axis for axis in (3, 1) if array.shape[axis]):
            first = array.take([0], axis)
            if first.shape[1:] in ((*ARRAY_SHAPE, 1), (1, *ARRAY_SHAPE)) and (
                array.shape[axis] == 1
                or (array.shape[axis] == 3 and _are_equal(array, first))
            ):
                return first.squeeze(axis)
    return array


def _are_equal(array: np.ndarray, other: np.ndarray) -> bool:
    return all(
        np.all(array[start : start + _ROWS] == other[start : start + _ROWS])
        for start in range(0, len(array), _ROWS)
    )


def _as_bytes(images: np.ndarray, where: str) -> np.ndarray:
    if not len(images):
        return np.zeros(images.shape, "uint8")
    low, high = images.min(), images.max()
    # Of NaN no comparison is true; from 0 to 1.5 is neither range.
    if not (low >= 0 and (high <= 1 or 2 <= high <= 255)):
        raise InputError(
            "Pixels must lie in 0-255 or 0-1: undo any other scaling. "
            f"Received: {low:g} to {high:g} in {where}"
        )
    scale = 255 if high <= 1 else 1
    if images.dtype == np.uint8 and (scale == 1 or not high):
        return np.ascontiguousarray(images)  # Columns may come first.
    result = np.empty(images.shape, "uint8")
    for start in range(0, len(images), _ROWS):
        rows = slice(start, start + _ROWS)
        result[rows] = np.rint(images[rows].astype("float64") * scale)
    return result


def as_labels(labels: Any, where: str = "the arguments") -> np.ndarray:
    """Labels, as `Mnist` has them.

    Args:
        labels: What NumPy makes an array of: whole numbers from 0 to 9, of any
            type, or their text, of shape `(examples,)` or `(examples, 1)`; or
            one-hot of shape `(examples, 10)`.
        where: As for `as_examples`.

    Returns:
        A uint8 array of shape `(examples,)`.

    Raises:
        InputError: If they cannot be these.
    """
    array = _as_array(labels)
    if array is not None:
        array = _numbers_of_text(array)
        if (
            array.ndim == 2
            and array.shape[1] == NUM_DIGITS
            and is_one_hot(array)
        ):
            array = array.argmax(axis=1)
        elif array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
    if (
        array is None
        or array.ndim != 1
        or array.dtype.kind not in "iuf"
        or not np.array_equal(array, np.rint(array))
    ):
        raise InputError(
            "Labels must be integers of shape (examples,), or one-hot of shape "
            f"(examples, {NUM_DIGITS}). Received: {_kind(labels)} in {where}"
        )
    if not len(array):
        return array.astype("uint8")
    low, high = array.min(), array.max()
    if low < 0 or high >= NUM_DIGITS:
        ten = (low, high) == (1, NUM_DIGITS)
        advice = f", 0 and not {NUM_DIGITS} for the digit 0" if ten else ""
        raise InputError(
            f"Labels must lie in 0-{NUM_DIGITS - 1}{advice}. "
            f"Received: {low:.0f} to {high:.0f} in {where}"
        )
    return array.astype("uint8")


def is_one_hot(array: np.ndarray) -> bool:
    """Whether each row of a table is 1 in one place and 0 elsewhere."""
    return array.dtype.kind in "biuf" and bool(
        np.all((array == 0) | (array == 1)) and np.all(array.sum(axis=1) == 1)
    )


def _numbers_of_text(array: np.ndarray) -> np.ndarray:
    """Integers if these are text of integers, else `array`."""
    # The text of other objects may have no end.
    is_short = array.dtype.kind != "O" or all(
        isinstance(x, str | bytes | Number) for x in array.flat
    )
    if array.dtype.kind in "OUS" and is_short:
        try:
            return array.astype("U").astype("int64")
        except Exception:  # Objects raise what they like.
            pass
    return array


def _as_array(value: Any) -> np.ndarray | None:
    try:
        # What is masked in an array has no value.
        return None if np.ma.is_masked(value) else np.asarray(value)
    except Exception:  # Other libraries' arrays raise what they like.
        return None


def _kind(value: Any) -> str:
    array = _as_array(value)
    if array is None or (array.dtype == object and not array.ndim):
        return type(value).__name__
    return f"{array.dtype} of shape {array.shape}"
