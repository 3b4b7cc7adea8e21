"""Any picture of a digit, made into what MNIST would have made of it."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import ImageFilter
from PIL import ImageOps

from keras_mnist_sum import task
from keras_mnist_sum.errors import InputError

Picture = str | Path | Image.Image | np.ndarray

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_LARGEST_FILE = 2**28  # bytes
_MOST_PIXELS = 2**26  # 8,192 x 8,192; what phones take has 50 million
_SIDE = 320  # pixels: the longer side of the picture that is worked on
_CELLS = 40  # the longer side of the grid on which the page is estimated
_REACH = 10  # of those cells, each way, of which the page is the median
_FAINTEST = 8  # deviations of the page
_BOX = 20  # pixels: the longer side of MNIST's digits


def read_picture(path: str | Path) -> Image.Image:
    """Reads a picture's file, as data and within limits.

    Args:
        path: A PNG, JPEG, WebP, GIF, BMP, TIFF or PPM file of one frame and at
            most 67 million pixels.

    Returns:
        The picture, upright as its EXIF data says. A large JPEG comes at a
        half, a quarter or an eighth of its size, which reads faster.

    Raises:
        InputError: If it is missing, damaged, too large, another kind of file
            or several pictures.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"No such picture. Received: {str(path)!r}")
    try:
        with warnings.catch_warnings(action="ignore"):
            return _read(path)
    except Exception as error:
        # A damaged picture surfaces as any of a dozen exceptions.
        known = isinstance(error, _Refused)
        why = str(error) if known else type(error).__name__
        raise InputError(
            "A picture must be one whole image in a file of type "
            f"{', '.join(_FORMATS)}. Received: {str(path)!r} ({why})"
        ) from error


class _Refused(Exception):
    """Raised with the reason, in a few words."""


def _read(path: Path) -> Image.Image:
    if path.stat().st_size > _LARGEST_FILE:
        raise _Refused("it is too large")
    with Image.open(path, formats=_FORMATS) as image:
        if image.width * image.height > _MOST_PIXELS:
            raise _Refused(f"it has {image.width} x {image.height} pixels")
        # Phones store what belongs to a photo behind it, as an MPO file.
        if getattr(image, "is_animated", False) and image.format != "MPO":
            raise _Refused("it has several frames")
        image.draft(None, (2 * _SIDE, 2 * _SIDE))
        return ImageOps.exif_transpose(image)


def to_mnist(picture: Picture) -> np.ndarray:
    """Prepares a picture of one digit as MNIST's were.

    The ink may have any colour that differs from the page's, and be darker or
    lighter. It is cut out, fitted into 20 x 20 pixels and centred by its mass
    in 28 x 28 (http://yann.lecun.com/exdb/mnist/).

    What is MNIST's already is returned as it is: 28 x 28 pixels of gray, most
    of the outermost ones 0, and the centre of mass less than a pixel from row
    and column 14. All 70,000 images of MNIST are like that.

    Args:
        picture: The path of a file, a PIL image, or an array of shape
            `(height, width)` or `(height, width, channels)` with 1 channel, 3
            (RGB) or 4 (RGBA), of bool, uint8 or floats in 0-1 or 0-255.

    Returns:
        A uint8 array of shape `(28, 28)`, 0-255, white ink on black.

    Raises:
        InputError: If it is no such picture, or nothing is drawn on it.
    """
    if isinstance(picture, (str, Path)):
        image = read_picture(picture)
    elif isinstance(picture, np.ndarray):
        image = _from_array(picture)
    elif isinstance(picture, Image.Image):
        image = picture
    else:
        raise InputError(
            "A picture must be a path, a PIL image or a NumPy array. "
            f"Received: {type(picture).__name__}"
        )
    colours = _colours(image)
    if _is_mnist(colours):
        return colours[..., 0].copy()
    ink, steps = _ink(colours)
    signs = _digit(ink, steps), _digit(-ink, steps)
    _, strokes = max(signs, key=lambda digit: digit[0])
    if not strokes.any():
        raise InputError(
            "Nothing is drawn here that could be a digit. "
            f"Received: {image.width} x {image.height} pixels"
        )
    return _centred(_fitted(strokes))


# === From any picture to colours ===


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
        if image.mode[0] in "IF":  # 16 bits or more, of which few may be used
            values = np.asarray(image, "float64")
            scaled = values * (255 / max(values.max(), 1e-9))
            image = _from_array(scaled.clip(max=255))
        if image.has_transparency_data:
            image = _opaque(image.convert("RGBA"))
        return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise InputError(
            f"A picture must be whole. Received: {image!r} ({error})"
        ) from error


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


# === From colours to ink ===


def _ink(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measures the picture along the line of colours from page to ink.

    Returns:
        How far each pixel is from the page behind it, in deviations of the
        page, and of either sign, for which end is the ink is not known; and
        how much the picture itself changes around each pixel.
    """
    image = _resized(Image.fromarray(colours), _SIDE)
    image = image.filter(ImageFilter.GaussianBlur(1))
    pixels = np.asarray(image, "float32")
    page = np.zeros_like(pixels)
    inked = np.zeros(pixels.shape[:2], bool)
    for _ in range(2):
        page = _page(image, inked, page)
        light = page.mean(axis=2, keepdims=True) + 50  # Noise is in the dark.
        light /= np.median(light)
        away = (pixels - page) / light
        line = _contrast(away.reshape(-1, 3))
        ink = away @ line
        inked = np.abs(ink) > 0.6 * _otsu(np.abs(ink))
    return ink, _steps(pixels @ line) / light[..., 0]


def _page(
    image: Image.Image, inked: np.ndarray, before: np.ndarray
) -> np.ndarray:
    """The page without ink: the median of the colours around each pixel.

    A median keeps the edge of a shadow, as a mean does not. Where there is
    nothing but ink, the page is what it was `before`.
    """
    cells = np.array(_resized(image, _CELLS), "float32")
    cells[np.asarray(_resized(_gray(inked), _CELLS)) > 0.1] = np.nan
    shape = cells.shape
    reach = (_REACH, _REACH)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(cells, [reach, reach, (0, 0)], "reflect"),
        (2 * _REACH + 1,) * 2,
        axis=(0, 1),
    )
    windows = np.sort(windows.reshape(*shape, -1))  # NaN comes last.
    count = (~np.isnan(windows)).sum(axis=3, keepdims=True)
    medians = np.take_along_axis(windows, count // 2, axis=3)[..., 0]
    fine = [
        np.asarray(_gray(x).resize(image.size, Image.Resampling.BILINEAR))
        for x in np.moveaxis(medians, 2, 0)
    ]
    page = np.stack(fine, axis=2)
    return np.where(np.isnan(page), before, page)


def _contrast(away: np.ndarray) -> np.ndarray:
    """The line on which ink stands out most, in units of the page's deviation.

    The half of the pixels nearest to the page is page; its texture and noise
    are made alike in all directions; then ink decides on one.

    Args:
        away: `(pixels, 3)`, the colours less the page's.
    """
    white = away
    for _ in range(3):
        distance = np.linalg.norm(white, axis=1)
        page = away[distance <= np.median(distance)]
        deviation = np.cov(page.T) + np.eye(3)  # one step of a colour at least
        whitening = np.linalg.cholesky(np.linalg.inv(deviation))
        white = away @ whitening
    distance = np.linalg.norm(white, axis=1)
    ink = white[distance >= _otsu(distance)]
    return whitening @ np.linalg.eigh(ink.T @ ink)[1][:, -1]


def _steps(values: np.ndarray) -> np.ndarray:
    """How much the values differ in the 11 x 11 pixels around each."""
    low = values.min()
    unit = max(np.ptp(values), 1e-9) / 255
    image = Image.fromarray(np.rint((values - low) / unit).astype("uint8"))
    highest, lowest = (
        np.asarray(image.filter(kind(11)), "float32")
        for kind in (ImageFilter.MaxFilter, ImageFilter.MinFilter)
    )
    return unit * (highest - lowest)


def _otsu(values: np.ndarray) -> float:
    """The threshold that parts them best (Otsu, 1979,
    https://doi.org/10.1109/TSMC.1979.4310076)."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    total = np.cumsum(counts * middles)
    gap = total[:-1] / below - (total[-1] - total[:-1]) / above.clip(1)
    return float(middles[np.argmax(below * above * gap**2)])


# === From ink to a digit ===


def _digit(ink: np.ndarray, steps: np.ndarray) -> tuple[float, np.ndarray]:
    """The digit in ink of the positive sign.

    Returns:
        How much of it there is, and its strokes alone: float32, 0-1.
    """
    ink = ink.clip(0)
    level = float(np.percentile(ink[ink >= _otsu(ink)], 75))
    if level < _FAINTEST:
        return 0.0, np.zeros_like(ink)
    mask = ink > 0.4 * level
    area, chosen = _chosen(_parts(mask), steps > 0.35 * level)
    near = _widened(chosen, 4) & (chosen | ~mask)  # with its soft edge
    strokes = np.where(near, (ink / level - 0.2) / 0.6, 0).clip(0, 1)
    return area * level, strokes


def _parts(mask: np.ndarray) -> np.ndarray:
    """Numbers from 1 for the connected parts, diagonally too; 0 elsewhere.

    As `scipy.ndimage.label`, whose import alone takes longer than all this.
    """
    number = np.full(np.add(mask.shape, 2), -1)
    number[1:-1, 1:-1][mask] = np.arange(mask.sum())
    here = number[1:-1, 1:-1]
    pairs = []
    for there in (
        number[1:-1, 2:],
        number[2:, :-2],
        number[2:, 1:-1],
        number[2:, 2:],
    ):
        both = (here >= 0) & (there >= 0)
        pairs.append((here[both], there[both]))
    one, other = (np.concatenate(ends) for ends in zip(*pairs))
    root = np.arange(mask.sum())
    while True:
        joined = root.copy()
        lowest = np.minimum(root[one], root[other])
        np.minimum.at(joined, root[one], lowest)
        np.minimum.at(joined, root[other], lowest)
        joined = joined[joined]
        if np.array_equal(joined, root):
            break
        root = joined
    parts = np.zeros(mask.shape, "int64")
    parts[mask] = np.unique(root, return_inverse=True)[1] + 1
    return parts


def _chosen(parts: np.ndarray, sharp: np.ndarray) -> tuple[float, np.ndarray]:
    """The largest part, and what else of some size is close to it.

    Ink has a sharp edge all round, which shadows and the corners of a page do
    not have; and what reaches the picture's margin is a digit only if there is
    hardly anything else.

    Returns:
        The area of the largest part, less at the margin; 0 if there is none.
        And a mask.
    """

    def count(where: np.ndarray) -> np.ndarray:
        return np.bincount(parts[where], minlength=parts.max() + 1)

    drawn = parts > 0
    outline = drawn & _widened(~drawn, 1) & ~_margin(parts.shape, 1)
    area = count(drawn).astype("float64")
    area[count(outline & sharp) < 0.9 * count(outline)] = 0
    area[count(_margin(parts.shape, 6)) > 0] *= 0.02
    area[0] = 0
    main = int(area.argmax())
    rows, columns = _box(parts == main)
    extent = max(rows.stop - rows.start, columns.stop - columns.start)
    if area[main] == 0 or extent < 8:
        return 0.0, np.zeros_like(drawn)
    reach = round(0.2 * extent)
    close = np.unique(
        parts[
            max(rows.start - reach, 0) : rows.stop + reach,
            max(columns.start - reach, 0) : columns.stop + reach,
        ]
    )
    kept = close[area[close] > 0.05 * area[main]]
    return float(area[main]), np.isin(parts, kept)


def _margin(shape: tuple[int, ...], width: int) -> np.ndarray:
    margin = np.ones(shape, bool)
    margin[width:-width, width:-width] = False
    return margin


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    rows, columns = (np.nonzero(mask.any(axis=axis))[0] for axis in (1, 0))
    return (
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )


def _fitted(strokes: np.ndarray) -> np.ndarray:
    """The strokes in 20 x 20 pixels or, one side, less; at least 2 wide."""
    strokes = strokes[_box(strokes > 0.3)]
    drawn = np.pad(strokes > 0.5, 1)
    outline = (drawn & _widened(~drawn, 1)).sum()
    width = 2 * drawn.sum() / max(outline, 1)
    lacking = 2 * max(strokes.shape) / _BOX - width
    image = Image.fromarray(np.rint(255 * strokes).astype("uint8"))
    if lacking >= 2:
        reach = round(lacking / 2)
        image = ImageOps.expand(image, reach)
        image = image.filter(ImageFilter.MaxFilter(2 * reach + 1))
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


def _widened(mask: np.ndarray, reach: int) -> np.ndarray:
    image = Image.fromarray(mask).convert("L")
    return np.asarray(image.filter(ImageFilter.MaxFilter(2 * reach + 1))) > 0


def _resized(image: Image.Image, side: int) -> Image.Image:
    """As large as this, on its longer side."""
    scale = side / max(image.size)
    shape = [max(1, round(x * scale)) for x in image.size]
    resampling = Image.Resampling
    return image.resize(
        shape, resampling.BOX if scale < 1 else resampling.BICUBIC
    )


def _gray(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype("float32"))
