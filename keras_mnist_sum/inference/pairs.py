"""Pictures and numbers in the forms that people have them in."""

import os
from collections.abc import Mapping
from collections.abc import Set
from numbers import Integral
from numbers import Number
from typing import Any

import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.utils.arguments import as_list
from keras_mnist_sum.utils.arguments import as_path
from keras_mnist_sum.utils.image_files import read_stream
from keras_mnist_sum.utils.settings import plain

_PIXELS = IMAGE_SHAPE[0] * IMAGE_SHAPE[1]
_CHANNELS = (1, 3, 4)
_MOST_AXES = 64  # of an array
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
    numbers, one = as_numbers(numbers)
    images = _if_array(images)
    if isinstance(images, np.ndarray):
        images = _divided(images, len(numbers), one)
    else:
        parts = _parts(images)
        images = [images] if parts is None else parts
    if len(images) != len(numbers):
        raise InputError(
            "There must be as many images as numbers, or one of each. "
            f"Received: {len(images)} images and {len(numbers)} numbers"
        )
    return [_as_picture(image) for image in images], numbers, one


def as_numbers(numbers: Any) -> tuple[list, bool]:
    """The numbers, which are not checked, and whether it was one alone.

    Args:
        numbers: One number, or several in a list or array.
    """
    if _has(numbers, "__array__"):
        array = as_array(numbers)
        is_column = array.ndim == 2 and array.shape[1] == 1
        numbers = (array[:, 0] if is_column else array).tolist()
    parts = _parts(numbers)
    return ([numbers], True) if parts is None else (parts, False)


def check_number(number: object) -> int:
    """Returns `number` as an int.

    Raises:
        InputError: If it is not an integer from 0 to 9.
    """
    found = plain(number)
    if (
        not isinstance(found, Integral)
        or isinstance(found, bool)
        or int(found) not in range(NUM_DIGITS)
    ):
        raise InputError(
            f"`number` must be an integer from 0 to {NUM_DIGITS - 1}. "
            f"Received: {shown(number)}"
        )
    return int(found)


def _parts(x: object) -> list | None:
    """What is in `x`, if it is a collection that has an order."""
    if isinstance(x, Mapping | Set) or _has(x, "read"):
        return None
    return as_list(x)


def _has(x: object, name: str) -> bool:
    try:
        return hasattr(x, name)
    except Exception:  # It may fail in any way.
        return False


def _if_array(x: Any) -> Any:
    """`x` as a NumPy array if it is an array of any kind, else as it is."""
    first = x
    for _ in range(_MOST_AXES):  # A list may hold itself.
        first = first[0] if isinstance(first, list | tuple) and first else first
    is_nested = isinstance(first, Number) or (
        _has(first, "ndim") and getattr(first, "ndim", 0) == 1
    )
    is_array = _has(x, "__array__") or (_has(x, "ndim") and x.ndim > 1)
    if is_nested if isinstance(x, list | tuple) else is_array:
        return as_array(x)
    return x


def as_array(x: Any) -> np.ndarray:
    """`x` as NumPy has it.

    Raises:
        InputError: If it is no array, or not all of it is there.
    """
    try:
        if np.ma.is_masked(x):
            raise ValueError("some of its values are masked")
        return np.asarray(x)
    except Exception as error:  # Arrays of other libraries raise anything.
        raise InputError(
            "This must be an array, whole and in the computer's own memory. "
            f"Received: {type(x).__name__} ({shown(error, 200)})"
        ) from error


def _divided(array: np.ndarray, count: int, one: bool) -> list:
    """The pictures in an array, where there are `count` numbers."""
    if array.ndim and not len(array):
        return []
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
    x = _if_array(x)
    if isinstance(x, _BYTES):
        return bytes(x)
    if isinstance(x, str | os.PathLike):
        return str(as_path(x, "A picture must have the path of a file"))
    if _has(x, "read"):
        return _content(x)
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


def _content(file: Any) -> bytes:
    try:
        content = read_stream(file)
        if not isinstance(content, bytes):
            raise TypeError(f"it gives {type(content).__name__}")
    except Exception as error:  # It is closed, or one of text.
        raise InputError(
            "A picture's file must be open for its bytes, as open(path, 'rb') "
            f"does. Received: {shown(file)} ({shown(error)})"
        ) from error
    return content
