"""Any picture of a digit, made into what MNIST would have made of it."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import ImageOps
from PIL import UnidentifiedImageError

from keras_mnist_sum import task
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference.strokes import box_of
from keras_mnist_sum.inference.strokes import find_strokes
from keras_mnist_sum.inference.strokes import highest_near
from keras_mnist_sum.inference.strokes import widened

Picture = str | Path | bytes | Image.Image | np.ndarray

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_LARGEST_FILE = 2**28  # bytes
_MOST_PIXELS = 2**26  # 8,192 x 8,192; what phones take has 50 million
_LEAST_SIDE = 640  # pixels: a larger picture is made smaller first
_BOX = 20  # pixels: the longer side of MNIST's digits


def read_picture(path: str | Path | bytes) -> Image.Image:
    """Reads a picture's file, as data and within limits.

    Args:
        path: A PNG, JPEG, WebP, GIF, BMP, TIFF or PPM file of one frame and at
            most 67 million pixels, or what is in one.

    Returns:
        The picture. A large JPEG comes at a half, a quarter or an eighth of its
        size, which reads faster.

    Raises:
        InputError: If it is missing, damaged, too large, another kind of file
            or several pictures.
    """
    source = path if isinstance(path, bytes) else Path(path)
    try:
        with warnings.catch_warnings(action="ignore"):
            return _read(source)
    except Exception as error:
        # A damaged picture surfaces as any of a dozen exceptions.
        why = str(error) if isinstance(error, _Refused) else None
        why = why or getattr(error, "strerror", None) or type(error).__name__
        if isinstance(source, bytes):
            received = f"{len(source):,} bytes"
        else:
            received = repr(str(source))
        raise InputError(
            "A picture must be one whole image in a file of type "
            f"{', '.join(_FORMATS)}. Received: {received} ({why})"
        ) from error


class _Refused(Exception):
    """Raised with the reason, in a few words."""


def _read(source: Path | bytes) -> Image.Image:
    if isinstance(source, bytes):
        size = len(source)
    elif source.is_dir():
        raise _Refused("a folder, without any such file")
    elif not source.is_file():
        raise _Refused("no such file")
    else:
        size = source.stat().st_size
    if size > _LARGEST_FILE:
        raise _Refused("it is too large")
    if not size:
        raise _Refused("it is empty")
    too_many = _Refused(f"it has more than {_MOST_PIXELS:,} pixels")
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        opened = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError:
        raise _Refused("it is none of these") from None
    except Image.DecompressionBombError:
        raise too_many from None
    with opened as image:
        if image.width * image.height > _MOST_PIXELS:
            raise too_many
        if _has_frames(image):
            raise _Refused("it has several frames")
        image.draft(None, (_LEAST_SIDE, _LEAST_SIDE))
        image.load()
        return image


def _has_frames(image: Image.Image) -> bool:
    # Phones store what belongs to a photo behind it, as an MPO file.
    return getattr(image, "is_animated", False) and image.format != "MPO"


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
    if isinstance(picture, (str, Path)):
        try:
            return _prepared(read_picture(picture))
        except InputError as error:
            name = repr(str(picture))
            if name in str(error):
                raise
            raise InputError(f"{error}, {name}") from error
    if isinstance(picture, bytes):
        return _prepared(read_picture(picture))
    if isinstance(picture, np.ndarray):
        return _prepared(_from_array(picture))
    if isinstance(picture, Image.Image):
        return _prepared(picture)
    raise InputError(
        "A picture must be a path, bytes, a PIL image or a NumPy array. "
        f"Received: {type(picture).__name__}"
    )


def strokes_to_mnist(strokes: np.ndarray) -> np.ndarray:
    """Prepares strokes that come without a page, as from a canvas.

    There is nothing to find in them: all of it is the digit, in a fiftieth of
    the time.

    Args:
        strokes: uint8 array of shape `(height, width)`: 255 where there is ink,
            0 where there is none.

    Returns:
        As `to_mnist`.

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
            "Nothing is drawn here that could be a digit. "
            f"Received: {image.width} x {image.height} pixels"
        )
    return _centred(_fitted(strokes))


def _from_array(array: np.ndarray) -> Image.Image:
    channels = array.shape[2:]
    if array.ndim not in (2, 3) or channels not in ((), (1,), (3,), (4,)):
        raise InputError(
            "A picture must have the shape (height, width), or (height, width, "
            f"channels) with 1, 3 or 4 channels. Received: {array.shape}"
        )
    if not 0 < array.size <= 4 * _MOST_PIXELS:
        raise InputError(
            f"A picture must have 1 to {_MOST_PIXELS:,} pixels. "
            f"Received: an array of shape {array.shape}"
        )
    if array.dtype != np.uint8 and array.dtype.kind not in "bf":
        raise InputError(
            f"A picture must be bool, uint8 or floats. Received: {array.dtype}"
        )
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255):  # NaN is neither.
        raise InputError(
            "A picture's values must lie in 0-1 or 0-255. "
            f"Received: {low} to {high}"
        )
    if array.dtype != np.uint8:
        scale = 255 if high <= 1 else 1
        array = np.rint(array.astype("float64") * scale).astype("uint8")
    return Image.fromarray(array[..., 0] if channels == (1,) else array)


def _colours(image: Image.Image) -> np.ndarray:
    """RGB: uint8 array of shape `(height, width, 3)`."""
    if not 0 < image.width * image.height <= _MOST_PIXELS:
        raise InputError(
            f"A picture must have 1 to {_MOST_PIXELS:,} pixels. "
            f"Received: {image.width} x {image.height}"
        )
    try:
        if _has_frames(image):
            raise InputError(
                "A picture must be one image: a copy of one frame is. "
                "Received: several frames"
            )
        with warnings.catch_warnings(action="ignore"):
            return _decoded(image)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            "A picture must be whole and of a known kind. "
            f"Received: one of mode {image.mode} ({type(error).__name__})"
        ) from error


def _decoded(image: Image.Image) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":  # 16 bits or more, of which few may be used
        values = np.asarray(image)
        low, high = values.min(), values.max()
        if not 0 <= low <= high < np.inf:  # NaN is neither.
            raise InputError(
                "A picture's values must be finite, and not negative. "
                f"Received: {low} to {high}"
            )
        image = Image.fromarray(_in_8_bits(values, max(high, 1e-9)))
    if image.has_transparency_data:
        image = _opaque(image.convert("RGBA"))
    surplus = max(max(image.size) // _LEAST_SIDE, 1)
    if image.mode != "L":  # Which is made smaller first: it takes a quarter.
        image = image.convert("RGB")
    return np.asarray(image.reduce(surplus).convert("RGB"))


def _in_8_bits(values: np.ndarray, most: float) -> np.ndarray:
    """0 to `most` becomes 0 to 255. In parts: all at once, a large picture
    would take many times its memory."""
    scaled = np.empty(values.shape, "uint8")
    parts = 64
    for some, into in zip(
        np.array_split(values, parts), np.array_split(scaled, parts)
    ):
        into[:] = np.rint((some * np.float64(255 / most)).clip(max=255))
    return scaled


def _opaque(image: Image.Image) -> Image.Image:
    """Lays it on a page. If most is clear, what is not is the ink, and the page
    is black or white; else the page is the picture's own, and has holes."""
    pixels = np.asarray(image)
    seen = pixels[pixels[..., 3] > 127][:, :3]
    if 2 * len(seen) < pixels[..., 3].size:
        page = [0 if len(seen) and seen.mean() > 127 else 255] * 3
    else:
        page = [int(x) for x in np.median(seen, axis=0)]
    whole = Image.new("RGBA", image.size, (*page, 255))
    whole.alpha_composite(image)
    return whole


def _is_mnist(colours: np.ndarray) -> bool:
    size = task.IMAGE_SIZE
    if colours.shape[:2] != (size, size) or np.ptp(colours, axis=2).any():
        return False
    ink = colours[..., 0]
    border = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    if np.median(border) > 0 or not ink.any():
        return False
    return all(abs(x - size // 2) < 1 for x in _centre(ink))


def _fitted(strokes: np.ndarray) -> np.ndarray:
    """The strokes in 20 x 20 pixels or, one side, less; at least 2 wide."""
    strokes = strokes[box_of(strokes > 0.3)]
    drawn = np.pad(strokes > 0.5, 1)
    outline = (drawn & widened(~drawn, 1)).sum()
    width = 2 * drawn.sum() / max(outline, 1)
    lacking = 2 * max(strokes.shape) / _BOX - width
    image = Image.fromarray(np.rint(255 * strokes).astype("uint8"))
    if lacking >= 2:
        reach = round(lacking / 2)
        image = ImageOps.expand(image, reach)
        image = highest_near(image, reach)
    scale = _BOX / max(image.size)
    shape = [max(1, round(side * scale)) for side in image.size]
    return np.asarray(image.resize(shape, Image.Resampling.BICUBIC))


def _centred(digit: np.ndarray) -> np.ndarray:
    size = task.IMAGE_SIZE
    top, left = (
        min(max(round(size / 2 - middle), 0), size - side)
        for middle, side in zip(_centre(digit), digit.shape)
    )
    image = np.zeros((size, size), "uint8")
    rows, columns = digit.shape
    image[top : top + rows, left : left + columns] = np.rint(
        digit * (255 / digit.max())
    )
    return image


def _centre(ink: np.ndarray) -> tuple[float, float]:
    mass = ink / ink.sum(dtype="float64")
    rows, columns = (np.arange(side) for side in ink.shape)
    return float(mass.sum(axis=1) @ rows), float(mass.sum(axis=0) @ columns)
