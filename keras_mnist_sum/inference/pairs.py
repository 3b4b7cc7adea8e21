"""Pictures and numbers in the forms that people have them in."""

import os
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Set
from numbers import Integral
from numbers import Number
from typing import Any

import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import NUM_DIGITS

_PIXELS = IMAGE_SHAPE[0] * IMAGE_SHAPE[1]
_CHANNELS = (1, 3, 4)
_BYTES = bytes | bytearray | memoryview


def as_pairs(images: Any, numbers: Any) -> tuple[list, list, bool]:
    """As many pictures as numbers.

    Args:
        images: One picture, or as many as there are numbers, in a list or
            along the first axis of an array. An array may be one of NumPy,
            pandas, TensorFlow or PyTorch, nested lists, or rows of 784 pixels.
        numbers: One number, or several in a list or array.

    Returns:
        The pictures, of which `to_mnist` takes each; the numbers, which are
        not checked; and whether both were given as one.

    Raises:
        InputError: If there are not as many of the one as of the other.
    """
    if hasattr(numbers, "__array__"):
        array = _to_numpy(numbers)
        is_column = array.ndim == 2 and array.shape[1] == 1
        numbers = (array[:, 0] if is_column else array).tolist()
    one = not _are_many(numbers)
    numbers = [numbers] if one else list(numbers)
    images = _as_array(images)
    if isinstance(images, np.ndarray):
        images = _divided(images, len(numbers), one)
    else:
        images = list(images) if _are_many(images) else [images]
    if len(images) != len(numbers):
        raise InputError(
            "There must be as many images as numbers, or one of each. "
            f"Received: {len(images)} images and {len(numbers)} numbers"
        )
    return [_as_picture(image) for image in images], numbers, one


def check_number(number: object) -> int:
    """Returns `number` as an int.

    Raises:
        InputError: If it is not an integer from 0 to 9.
    """
    if (
        not isinstance(number, Integral)
        or isinstance(number, bool)
        or int(number) not in range(NUM_DIGITS)
    ):
        raise InputError(
            f"`number` must be an integer from 0 to {NUM_DIGITS - 1}. "
            f"Received: {' '.join(repr(number).split()):.80}"
        )
    return int(number)


def _are_many(x: object) -> bool:
    """Whether `x` is a collection that has an order."""
    if isinstance(x, str | _BYTES | Mapping | Set):
        return False
    return isinstance(x, Iterable) and not hasattr(x, "read")


def _as_array(x: Any) -> Any:
    """`x` as a NumPy array if it is an array of any kind, else as it is."""
    first = x
    while isinstance(first, list | tuple) and first:
        first = first[0]
    is_nested = isinstance(first, Number) or getattr(first, "ndim", 0) == 1
    is_array = hasattr(x, "__array__") or getattr(x, "ndim", 1) > 1
    if is_nested if isinstance(x, list | tuple) else is_array:
        return _to_numpy(x)
    return x


def _to_numpy(x: Any) -> np.ndarray:
    try:
        return np.asarray(x)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            "This must be an array, whole and in the computer's own memory. "
            f"Received: {type(x).__name__} ({error})"
        ) from error


def _divided(array: np.ndarray, count: int, one: bool) -> list:
    """The pictures in an array, where there are `count` numbers."""
    if array.dtype.kind in "OSU":  # of paths or pictures
        return array.ravel().tolist()
    is_single = array.ndim < 4 if one else array.ndim < 3
    if not one and count == 1 and array.ndim == 3 and len(array) != 1:
        is_single = array.shape[2] in _CHANNELS
    if not one and array.shape == (count, _PIXELS):
        is_single = False
    return [array] if is_single else list(array)


def _as_picture(x: Any) -> Any:
    """`x` in a form that `to_mnist` takes, if it has only one meaning."""
    x = _as_array(x)
    if isinstance(x, _BYTES):
        return bytes(x)
    if isinstance(x, os.PathLike):
        return os.fsdecode(x)
    if hasattr(x, "read"):  # a file
        return x.read()
    if not isinstance(x, np.ndarray):
        return x
    if x.size == _PIXELS and _PIXELS in x.shape:
        x = x.reshape(IMAGE_SHAPE[:2])
    is_batch = x.ndim == 4 or (x.ndim == 3 and x.shape[2] not in _CHANNELS)
    if is_batch and len(x) == 1:
        x = x[0]
    if x.dtype.kind in "iu" and x.dtype != np.uint8:
        return x.astype("float32")  # in 0-1 or 0-255, as other values are
    return x
