"""Image files, read as data and within limits."""

import io
import warnings
from pathlib import Path

from PIL import Image
from PIL import UnidentifiedImageError

from keras_mnist_sum.errors import InputError

MOST_PIXELS = 2**26  # 8,192 x 8,192; what phones take has 50 million
USEFUL_SIDE = 640  # pixels: a larger picture is made smaller first
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_LARGEST_FILE = 2**28  # bytes


def read_picture(path: str | Path | bytes) -> Image.Image:
    """Reads a picture's file, as data and within limits.

    Args:
        path: A PNG, JPEG, WebP, GIF, BMP, TIFF or PPM file of one frame and at
            most 67 million pixels, or the bytes of one.

    Returns:
        The picture. A large JPEG is read at a half, a quarter or an eighth of
        its size, which is faster.

    Raises:
        InputError: If it is missing, damaged, too large, another kind of file,
            or has several frames.
    """
    source = path if isinstance(path, bytes) else Path(path)
    try:
        with warnings.catch_warnings(action="ignore"):
            return _read(source)
    except Exception as error:
        # A damaged picture can raise anything.
        why = str(error) if isinstance(error, _Refused) else None
        why = why or getattr(error, "strerror", None) or type(error).__name__
        received = (
            f"{len(source):,} bytes"
            if isinstance(source, bytes)
            else repr(str(source))
        )
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
    too_many = _Refused(f"it has more than {MOST_PIXELS:,} pixels")
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        opened = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError:
        raise _Refused("it is none of these") from None
    except Image.DecompressionBombError:
        raise too_many from None
    with opened as image:
        if image.width * image.height > MOST_PIXELS:
            raise too_many
        if has_frames(image):
            raise _Refused("it has several frames")
        image.draft(None, (USEFUL_SIDE, USEFUL_SIDE))
        image.load()
        return image


def has_frames(image: Image.Image) -> bool:
    """Whether it is several pictures, as an animation is."""
    # Phones store what belongs to a photo behind it, as an MPO file.
    return getattr(image, "is_animated", False) and image.format != "MPO"
