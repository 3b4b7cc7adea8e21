"""The colours of a picture of any mode, made small in little memory."""

from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL import ImageOps

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.image_files import USEFUL_SIDE

_STRIP = 2**20  # pixels that are worked on at once
_ORIENTATION = 0x0112  # the tag in EXIF


def colours_of(image: Image.Image) -> np.ndarray:
    """Makes a large picture smaller, turns it upright, and lays it on a page.

    Args:
        image: Of any mode.

    Returns:
        RGB: uint8 array of shape `(height, width, 3)`. Its longer side is less
        than twice `USEFUL_SIDE`.

    Raises:
        InputError: If values are negative or not finite.
    """
    factor = max(max(image.size) // USEFUL_SIDE, 1)
    strips = [
        np.asarray(strip.reduce(factor)) for strip in _strips(image, factor)
    ]
    small = Image.fromarray(np.concatenate(strips))
    orientation = image.getexif().get(_ORIENTATION, 1)
    small.getexif()[_ORIENTATION] = orientation
    ImageOps.exif_transpose(small, in_place=True)
    if small.mode == "RGBA":
        return _on_a_page(np.asarray(small))
    return np.asarray(small.convert("RGB"))


def in_8_bits(values: np.ndarray, most: float) -> np.ndarray:
    """Scales 0 to `most` to 0 to 255."""
    scaled = np.empty(values.shape, "uint8")
    rows = max(1, len(values) // 64)  # At once, it takes many times the memory.
    for top in range(0, len(values), rows):
        part = values[top : top + rows] * np.float64(255 / most)
        scaled[top : top + rows] = np.rint(part.clip(max=255))
    return scaled


def _strips(image: Image.Image, factor: int) -> Iterator[Image.Image]:
    """Rows at a time, as L, as RGB, or as RGBa (multiplied by the alpha)."""
    if image.mode[0] in "IF":  # 16 bits or more, of which few may be used
        most = max(_highest(image, factor), 1e-9)
        for strip in _rows(image, factor):
            yield Image.fromarray(in_8_bits(np.asarray(strip), most))
        return
    clear = image.has_transparency_data
    for strip in _rows(image, factor):
        if clear:
            yield strip.convert("RGBA").convert("RGBa")
        else:  # Gray is made smaller first: a quarter of the work.
            yield strip if strip.mode == "L" else strip.convert("RGB")


def _rows(image: Image.Image, factor: int) -> Iterator[Image.Image]:
    step = max(_STRIP // image.width // factor, 1) * factor
    for top in range(0, image.height, step):
        bottom = min(top + step, image.height)
        yield image.crop((0, top, image.width, bottom))


def _highest(image: Image.Image, factor: int) -> float:
    ends = [
        (values.min(), values.max())
        for values in map(np.asarray, _rows(image, factor))
    ]
    low, high = np.min(ends), np.max(ends)  # NaN is both.
    if not 0 <= low <= high < np.inf:
        raise InputError(
            "A picture's values must be finite, and not negative. "
            f"Received: {low} to {high}"
        )
    return float(high)


def _on_a_page(pixels: np.ndarray) -> np.ndarray:
    """Lays a picture on a page.

    If most of it is clear, the rest is the ink, and the page becomes black or
    white. Otherwise the page is the picture's own, with holes.

    Args:
        pixels: `(height, width, 4)`, the colours multiplied by the alpha.
    """
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    page = np.zeros(3, "uint16")
    if (alpha > 127).mean() >= 0.5:
        every = max(len(pixels) // 300, 1)
        some = pixels[::every, ::every].astype("float32")
        some = some[some[..., 3] > 127]
        page[:] = np.median(255 * some[:, :3] / some[:, 3:], axis=0)
    elif colours.mean() <= alpha.mean() / 2:
        page[:] = 255
    whole = (255 - alpha) * page
    whole += 127
    whole //= 255
    whole += colours
    return whole.astype("uint8")
