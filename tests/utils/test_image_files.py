"""No file takes much memory or time: it is read or refused in a line."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference.pictures import to_mnist
from keras_mnist_sum.utils.image_files import read_picture
from tests.hostile import grows_by_less_than
from tests.hostile import memory_stays
from tests.hostile import png

MEMORY, PARTS = "more than 134,217,728 bytes of memory", "too many parts"


stays = memory_stays(300e6)


def tiff(tags, order="<"):
    """A TIFF of one page; each tag is one number, or how many there are."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    parts = [
        struct.pack(f"{order}HHII", *tag)
        for tag in sorted([*tags, (258, 4, 1, 8), (259, 4, 1, 1)])
    ]
    start = struct.pack(f"{order}IH", 8, len(parts))
    return mark + start + b"".join(parts) + bytes(4)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_scans(count):
    whole = saved(Image.new("L", (64, 64)), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * count + b"\xff\xd9"


GRAY = Image.new("L", (40, 40), 255)
EMPTY = (b"IDAT", zlib.compress(b""))
SIZE = [(256, 4, 1, 40), (257, 4, 1, 40)]
LARGE_TILE = [(tag, 4, 1, 40_000) for tag in (322, 323, 324, 325)]
HEIC = b"\0\0\0\x18ftypheic" + bytes(99)


@pytest.mark.parametrize(
    "make, why",
    [
        (lambda: png(8192, 8192, 6, EMPTY), MEMORY),
        (lambda: png(8000, 4000, 2, EMPTY, interlaced=1), MEMORY),
        (lambda: png(8192, 8193, 0, EMPTY), "more than 67,108,864 pixels"),
        (lambda: png(9, 9, 0, *[(b"tEXt", b"a\0b")] * 150_000), PARTS),
        (lambda: png(9, 9, 0, *[(b"IDAT", b"x")] * 150_000), "damaged|parts"),
        (lambda: b"P6\n" + b"#" * 10**6, PARTS),
        (lambda: b"P3\n9 9 255\n" + b"#\n" * 10**5, PARTS),
        (lambda: b"P3\n2000 2000 255\n" + b"1 " * 99, MEMORY),
        (lambda: b"P6\n2000 2000 99\n" + bytes(99), MEMORY),
        (lambda: tiff([*SIZE, (273, 4, 10**6, 8), (279, 4, 1, 9)]), PARTS),
        (lambda: tiff([*SIZE, (324, 4, 10**6, 8), (325, 4, 1, 9)], ">"), PARTS),
        (lambda: tiff([*SIZE, *LARGE_TILE]), MEMORY),
        (lambda: b"II+\0" + bytes(99), "it is none of these"),
        (lambda: with_scans(200), PARTS),
        (lambda: bytes(2**25 + 1), "it is too large"),
    ],
)
def test_rejects_what_would_take_long_or_much_memory(make, why):
    with pytest.raises(InputError, match=f"Received: .* bytes [(].*({why})"):
        read_picture(make())


@pytest.mark.parametrize("kind", ["WEBP", "JPEG", "AVIF"])
def test_limit_of_memory_counts_what_each_kind_takes(kind):
    """A progressive JPEG is decoded as a whole, however small it is asked."""
    side = {"WEBP": 2900, "JPEG": 4800, "AVIF": 2900}[kind]
    fast = {"AVIF": {"speed": 10}, "WEBP": {"method": 0}, "JPEG": {}}[kind]
    content = saved(
        Image.new("L", (side, side)), kind, progressive=True, **fast
    )
    with pytest.raises(InputError, match=MEMORY):
        read_picture(content)


def test_large_transparent_picture_takes_little_memory():
    """64 MB it has itself; every copy would add as many."""
    pixels = np.zeros((4000, 4000, 4), "uint8")
    pixels[800:3200, 1900:2200] = 255
    content = saved(Image.fromarray(pixels), "PNG", compress_level=1)
    del pixels
    with grows_by_less_than(150e6):
        assert to_mnist(content).any()


@pytest.mark.parametrize(
    "content, why",
    [
        (HEIC, "HEIC or a video: convert it to JPEG"),
        (b"%PDF-1.7", "it is PDF: save it as PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "it is PostScript: save it as PNG"),
        (b"<svg xmlns=", "it is SVG: save it as PNG"),
        (b"PK\3\4" + bytes(99), "it is a ZIP archive"),
        (saved(GRAY, "JPEG2000"), "it is none of these"),
        (saved(GRAY, "ICNS"), "it is none of these"),
        (saved(GRAY, "TGA"), "it is none of these"),
        (saved(GRAY, "EPS"), "it is PostScript"),
        (saved(GRAY, "JPEG")[:-300], "it is cut off"),
        (saved(GRAY, "PNG")[:-30], "it is cut off"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_says_what_another_kind_of_file_is(content, why):
    with pytest.raises(InputError, match=f"Received: .* bytes [(].*{why}"):
        read_picture(content)


@pytest.mark.parametrize("url", ["http://example.org/5.png", "https://e.org/5"])
def test_says_that_a_url_must_be_downloaded(url):
    with pytest.raises(InputError, match=f"{url}' [(]a URL: download it first"):
        to_mnist(url)
