"""Any picture of a digit, prepared as MNIST's digits were."""

from pathlib import Path

import numpy as np
from PIL import Image

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference.colours import colours_of
from keras_mnist_sum.inference.colours import in_8_bits
from keras_mnist_sum.inference.regions import box_of
from keras_mnist_sum.inference.regions import highest_near
from keras_mnist_sum.inference.strokes import find_strokes
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.utils.image_files import MOST_PIXELS
from keras_mnist_sum.utils.image_files import has_frames
from keras_mnist_sum.utils.image_files import read_picture
from keras_mnist_sum.utils.quiet import filtered_warnings

Picture = str | Path | bytes | Image.Image | np.ndarray

_BOX = 20  # pixels: the longer side of MNIST's digits
_SIZE = IMAGE_SHAPE[0]


def to_mnist(picture: Picture) -> np.ndarray:
    """Prepares a picture of one digit as MNIST's were.

    The ink may have any colour that differs from the page's, and be darker or
    lighter. It is cut out, fitted into 20 x 20 pixels and centred by its mass
    in 28 x 28 (http://yann.lecun.com/exdb/mnist/).

    What is MNIST's already is returned as it is: 28 x 28 pixels of gray, most
    of the outermost ones 0, and the centre of mass less than a pixel from row
    and column 14. All 70,000 images of MNIST are like that.

    Args:
        picture: The path of a file, its bytes, a PIL image, or an array of
            shape `(height, width)` or `(height, width, channels)` with 1
            channel, 3 (RGB) or 4 (RGBA), of bool, uint8 or floats in 0-1 or
            0-255.

    Returns:
        A uint8 array of shape `(28, 28)`, 0-255, white ink on black.

    Raises:
        InputError: If it is no such picture, or nothing is drawn on it.
    """
    if isinstance(picture, Image.Image):
        return _prepared(picture)
    if isinstance(picture, np.ndarray):
        return _prepared(_from_array(picture))
    if isinstance(picture, bytes):
        return _prepared(read_picture(picture))
    if isinstance(picture, str | Path):
        image = read_picture(picture)
        try:
            return _prepared(image)
        except InputError as error:
            raise InputError(f"{error}, {str(picture)!r}") from error
    raise InputError(
        "A picture must be a path, bytes, a PIL image or a NumPy array. "
        f"Received: {type(picture).__name__}"
    )


def strokes_to_mnist(strokes: np.ndarray) -> np.ndarray:
    """Prepares strokes that come without a page, as from a canvas.

    All of the ink is the digit. As nothing has to be found, this takes a
    fiftieth of the time of `to_mnist`.

    Args:
        strokes: uint8 array of shape `(height, width)`: 255 where there is ink,
            0 where there is none.

    Returns:
        The same as `to_mnist`.

    Raises:
        InputError: If nothing is drawn.
    """
    ink = strokes / np.float32(255)
    if not (ink > 0.5).any():
        raise InputError(
            "Nothing is drawn here. "
            f"Received: {strokes.shape[1]} x {strokes.shape[0]} empty pixels"
        )
    return _centred(_fitted(ink))


def _prepared(image: Image.Image) -> np.ndarray:
    colours = _colours(image)
    if _is_mnist(colours):
        return colours[..., 0].copy()
    strokes = find_strokes(colours)
    if not strokes.any():
        raise InputError(
            "Nothing is drawn here that could be a digit. If there is one, "
            "leave some of the page around it. "
            f"Received: {image.width} x {image.height} pixels"
        )
    return _centred(_fitted(strokes))


def _from_array(array: np.ndarray) -> Image.Image:
    if np.ma.is_masked(array):
        raise InputError(
            "A picture must have all its pixels. Received: masked ones"
        )
    channels = array.shape[2:]
    if array.ndim not in (2, 3) or channels not in ((), (1,), (3,), (4,)):
        raise InputError(
            "A picture must have the shape (height, width), or (height, width, "
            f"channels) with 1, 3 or 4 channels. Received: {array.shape}"
        )
    _check_size(array.shape[1], array.shape[0])
    if array.dtype != np.uint8 and array.dtype.kind not in "bf":
        raise InputError(
            f"A picture must be bool, uint8 or floats. Received: {array.dtype}"
        )
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255):  # NaN is neither.
        raise InputError(
            "A picture's values must be finite, and lie in 0-1 or 0-255. "
            f"Received: {low} to {high}"
        )
    if array.dtype != np.uint8:
        array = in_8_bits(array, 1 if high <= 1 else 255)
    return Image.fromarray(array[..., 0] if channels == (1,) else array)


def _check_size(width: int, height: int) -> None:
    if not 0 < width * height <= MOST_PIXELS:
        raise InputError(
            f"A picture must have 1 to {MOST_PIXELS:,} pixels. "
            f"Received: {width} x {height}"
        )


def _colours(image: Image.Image) -> np.ndarray:
    """RGB: uint8 array of shape `(height, width, 3)`."""
    _check_size(image.width, image.height)
    try:
        if has_frames(image):
            raise InputError(
                "A picture must be one image: a copy of one frame is. "
                "Received: several frames"
            )
        with filtered_warnings("ignore"):
            return colours_of(image)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            "A picture must be whole and of a known kind. "
            f"Received: one of mode {image.mode} ({type(error).__name__})"
        ) from error


def _is_mnist(colours: np.ndarray) -> bool:
    if colours.shape[:2] != (_SIZE, _SIZE) or np.ptp(colours, axis=2).any():
        return False
    ink = colours[..., 0]
    border = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    if np.median(border) > 0 or not ink.any():
        return False
    return all(abs(x - _SIZE // 2) < 1 for x in _centre(ink))


def _fitted(strokes: np.ndarray) -> np.ndarray:
    """The strokes in 20 x 20 pixels, one side maybe less; a pen 2 wide."""
    strokes = strokes[box_of(strokes > 0.3)]
    drawn = np.pad(strokes > 0.5, 1)
    outline = (drawn & highest_near(~drawn, 1)).sum()
    width = 2 * drawn.sum() / max(outline, 1)
    lacking = 2 * max(strokes.shape) / _BOX - width
    if lacking >= 2:
        reach = round(lacking / 2)
        strokes = highest_near(np.pad(strokes, reach), reach)
    image = Image.fromarray(np.rint(255 * strokes).astype("uint8"))
    scale = _BOX / max(image.size)
    shape = [max(1, round(side * scale)) for side in image.size]
    return np.asarray(image.resize(shape, Image.Resampling.BICUBIC))


def _centred(digit: np.ndarray) -> np.ndarray:
    rows, columns = digit.shape
    row, column = _centre(digit)
    top = min(max(round(_SIZE / 2 - row), 0), _SIZE - rows)
    left = min(max(round(_SIZE / 2 - column), 0), _SIZE - columns)
    image = np.zeros((_SIZE, _SIZE), "uint8")
    image[top : top + rows, left : left + columns] = np.rint(
        digit * (255 / digit.max())
    )
    return image


def _centre(ink: np.ndarray) -> tuple[float, float]:
    mass = ink / ink.sum(dtype="float64")
    rows, columns = np.arange(ink.shape[0]), np.arange(ink.shape[1])
    return float(mass.sum(axis=1) @ rows), float(mass.sum(axis=0) @ columns)
