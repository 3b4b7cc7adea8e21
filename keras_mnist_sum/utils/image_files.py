"""Image files, read as data and within limits of memory and time."""

import io
import struct
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from PIL import UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.utils.quiet import filtered_warnings
from keras_mnist_sum.utils.regular_files import NotRegular
from keras_mnist_sum.utils.regular_files import open_regular

MOST_PIXELS = 2**26  # 8,192 x 8,192; what phones take has 50 million
USEFUL_SIDE = 1024  # pixels: a larger picture is made smaller first

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
_LARGEST_FILE = 2**25  # bytes
_MOST_BYTES = 2**27  # that decoding may take
_MOST_READS = 300_000
# What takes long each time, by codec: a scan of a whole JPEG, a comment.
_SLOW_PARTS = {"jpeg": b"\xff\xda", "ppm_plain": b"#"}
_MOST_SLOW_PARTS = 100
_TOO_LARGE = f"it is too large: more than {_LARGEST_FILE:,} bytes"
_TOO_MANY = f"it has more than {MOST_PIXELS:,} pixels"
_TOO_LONG = "it has too many parts"
_OTHER_KINDS = {
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"<svg": "SVG",
    b"<?xm": "SVG or other XML",
    b"8BPS": "a Photoshop file",
    b"PK\3\4": "a ZIP archive",
}


def read_picture(
    source: str | Path | bytes, size: tuple[int, int] | None = None
) -> Image.Image:
    """Reads a picture's file, as data and within limits.

    Args:
        source: A PNG, JPEG, WebP, GIF, BMP, TIFF, PPM or AVIF file of one
            frame, or the bytes of one: at most 33.6 million bytes, 67 million
            pixels, and 134 million bytes in memory.
        size: The width and height that it must have; `None` for any.

    Returns:
        The picture. A large JPEG is read at a half, a quarter or an eighth of
        its size, which is faster.

    Raises:
        InputError: If it is missing, damaged, too large, another kind of file,
            or has several frames.
    """
    try:
        with filtered_warnings("ignore"):
            return _read(source, size)
    except Exception as error:
        # A damaged picture can raise anything.
        received = (
            f"{len(source):,} bytes"
            if isinstance(source, bytes)
            else shown(str(source), 200)
        )
        raise InputError(
            "A picture must be one whole image in a file of type "
            f"{', '.join(_FORMATS)}. Received: {received} ({_reason(error)})"
        ) from error


def read_stream(stream: BinaryIO) -> bytes:
    """Reads a file that may never end, for `read_picture`."""
    return stream.read(_LARGEST_FILE + 1)


class _Refused(Exception):
    """Raised with the reason, in a few words."""


class _File(io.BytesIO):
    """A file in memory that ends a parser which does not get on.

    Pillow reads headers piece by piece, in Python: a file of nothing but tiny
    pieces, such as comments, would take minutes.
    """

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > _MOST_READS:
            raise _Refused(_TOO_LONG)
        return super().read(size)


def _read(
    source: str | Path | bytes, size: tuple[int, int] | None
) -> Image.Image:
    content = source if isinstance(source, bytes) else _content(Path(source))
    if len(content) > _LARGEST_FILE:
        raise _Refused(_TOO_LARGE)
    if not content:
        raise _Refused("it is empty")
    if content[:2] in (b"II", b"MM"):
        _check_tiff(content)
    try:
        opened = Image.open(_File(content), formats=_FORMATS)
    except UnidentifiedImageError:
        raise _Refused(_kind(content)) from None
    except Image.DecompressionBombError:
        raise _Refused(_TOO_MANY) from None
    with opened as image:
        if image.width * image.height > MOST_PIXELS:
            raise _Refused(_TOO_MANY)
        if size not in (None, image.size):
            raise _Refused(f"it has {image.width} x {image.height} pixels")
        if has_frames(image):
            raise _Refused("it has several frames")
        if _cost(image) > _MOST_BYTES:
            raise _Refused(
                f"it would take more than {_MOST_BYTES:,} bytes of memory: "
                "make it smaller, or save it as JPEG"
            )
        slow = _SLOW_PARTS.get(image.tile[0][0] if image.tile else "")
        if slow and content.count(slow) > _MOST_SLOW_PARTS:
            raise _Refused(_TOO_LONG)
        scale = USEFUL_SIDE / max(image.size)
        width, height = (max(1, round(scale * x)) for x in image.size)
        image.draft(None, (width, height))
        image.decodermaxblock = len(content)  # All at once is faster.
        image.load()
        return image


def _content(path: Path) -> bytes:
    if str(path).startswith(("http:/", "https:/")):
        raise _Refused("a URL: download it first")
    if path.is_dir():
        raise _Refused("a folder, without any such file")
    if not path.exists():
        raise _Refused("no such file")
    with open_regular(path) as file:
        return file.read(_LARGEST_FILE + 1)


def _cost(image: ImageFile) -> int:
    """Bytes that decoding takes, at most."""
    pixels = image.width * image.height
    if any(codec in Image.DECODERS for codec, *_ in image.tile):
        return 256 * pixels  # It is in Python, and as slow.
    if _is_jpeg(image):  # Only a progressive one is decoded as a whole.
        return 6 * pixels if "progressive" in image.info else 0
    if image.format in ("WEBP", "AVIF"):
        return 16 * pixels
    short = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
    each = short.get(image.mode, 4)
    if isinstance(
        image, TiffImageFile
    ):  # Its strips and tiles may be as large as it.
        tile = image.tag_v2.get(322, 0) * image.tag_v2.get(323, 0)
        return 3 * each * max(pixels, tile)
    return (2 if image.info.get("interlace") else 1) * each * pixels


def _is_jpeg(image: ImageFile) -> bool:
    return image.format in ("JPEG", "MPO")


def _check_tiff(content: bytes) -> None:
    """Counts its strips or tiles: each becomes a tuple before all else."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(content[:4])
    if order is None:
        raise _Refused("it is none of these")
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    (tags,) = struct.unpack_from(f"{order}H", content, start)
    for at in range(start + 2, start + 2 + 12 * tags, 12):
        tag, _, count = struct.unpack_from(f"{order}HHI", content, at)
        if tag in (273, 324) and count > 2**15:
            raise _Refused(_TOO_LONG)


def has_frames(image: Image.Image) -> bool:
    """Whether it is several pictures, as an animation is."""
    # Phones store what belongs to a photo behind it, as an MPO file.
    return getattr(image, "is_animated", False) and image.format != "MPO"


def _kind(content: bytes) -> str:
    """Why a file of another kind cannot be read."""
    if content[4:8] == b"ftyp" and content[8:12] not in (b"avif", b"avis"):
        return "it is HEIC or a video: convert it to JPEG"
    kind = _OTHER_KINDS.get(content[:4])
    return f"it is {kind}: save it as PNG" if kind else "it is none of these"


def _reason(error: Exception) -> str:
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, NotRegular):
        return str(error)
    if "truncated" in str(error).lower():
        return "it is cut off: its end is missing"
    return f"it is damaged: {type(error).__name__}"
