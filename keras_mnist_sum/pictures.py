"""Any picture of a digit -> what MNIST would have made of it."""

import io
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
_MOST_PIXELS = 2**26  # 67 million: 8,192 x 8,192
_SIDE = 320  # pixels: the longer side of the picture that is worked on
_CELLS = (40, 40)
_REACH = 10
_FAINTEST = 12
_BOX = 20  # pixels: the longer side of MNIST's digits


def read_picture(path: str | Path) -> Image.Image:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"No such picture. Received: {str(path)!r}")
    try:
        with warnings.catch_warnings(action="ignore"):
            return _read(path)
    except Exception as error:
        # A damaged picture surfaces as any of a dozen exceptions.
        known = isinstance(error, _Refused)
        why = str(error) if known else "it is damaged or no such file"
        raise InputError(
            f"A picture must be a whole file, one of {', '.join(_FORMATS)}. "
            f"Received: {str(path)!r} ({why})"
        ) from error


class _Refused(Exception):
    """Raised with the reason, in a few words."""


def _read(path: Path) -> Image.Image:
    with Image.open(path, formats=_FORMATS) as image:
        if image.width * image.height > _MOST_PIXELS:
            raise _Refused(f"it has {image.width} x {image.height} pixels")
        if getattr(image, "is_animated", False) and image.format != "MPO":
            raise _Refused("it has several frames")
        image.draft(None, (2 * _SIDE, 2 * _SIDE))
        image.load()
        return ImageOps.exif_transpose(image)


def to_mnist(picture: Picture) -> np.ndarray:
    if isinstance(picture, (str, Path)):
        picture = read_picture(picture)
    if isinstance(picture, np.ndarray):
        picture = _from_array(picture)
    colours = _colours(picture)
    if _is_mnist(colours):
        return colours[..., 0].copy()
    strokes = max(_strokes(*_ink(colours)), key=lambda x: x[0])[1]
    if not strokes.any():
        raise InputError("Nothing is drawn here. Received: ")
    return _centred(_fitted(_cropped(strokes)))


def _from_array(array):
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.dtype == bool or (array.dtype.kind == "f" and array.max() <= 1):
        array = array * np.float32(255)
    return Image.fromarray(np.rint(array).astype("uint8"))


def _colours(image: Image.Image) -> np.ndarray:
    """RGB, uint8 array of shape `(height, width, 3)`."""
    if image.mode[0] in "IF":
        values = np.asarray(image, "float32")
        values = values * (255 / max(values.max(), 1e-9))
        image = Image.fromarray(np.rint(values.clip(0, 255)).astype("uint8"))
    if image.has_transparency_data:
        image = _flattened(image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def _flattened(image: Image.Image) -> Image.Image:
    """Without transparency. Where most is clear, what is opaque is the ink,
    and it is laid on black or white; else the page has holes."""
    pixels = np.asarray(image)
    opaque = pixels[..., 3] > 127
    seen = pixels[opaque][:, :3]
    if len(seen) * 2 < opaque.size:
        behind = (0, 0, 0) if seen.size and seen.mean() > 127 else (255,) * 3
    else:
        behind = tuple(int(x) for x in np.median(seen, axis=0))
    page = Image.new("RGBA", image.size, (*behind, 255))
    page.alpha_composite(image)
    return page


def _is_mnist(colours: np.ndarray) -> bool:
    size = task.IMAGE_SIZE
    if colours.shape[:2] != (size, size) or np.ptp(colours, axis=-1).any():
        return False
    ink = colours[..., 0]
    border = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    if np.median(border) > 0 or not ink.any():
        return False
    return all(abs(x - size // 2) < 1 for x in _centre(ink))


def _centre(ink: np.ndarray) -> tuple[float, float]:
    mass = ink / ink.sum(dtype="float64")
    return (
        float(mass.sum(1) @ np.arange(len(ink))),
        float(mass.sum(0) @ np.arange(ink.shape[1])),
    )


def _ink(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture along the line of colours on which ink and page differ most.

    Returns:
        How far each pixel is from the page behind it, in deviations of the
        page, of either sign; and where it is without regard to that page.
    """
    image = Image.fromarray(colours)
    image = _resized(image, _SIDE).filter(ImageFilter.GaussianBlur(1))
    page = np.asarray(image, "float32")
    behind = np.full_like(page, np.nan)
    inked = np.zeros(page.shape[:2], bool)
    for cells in _CELLS:
        behind = _background(image, inked, behind, cells)
        light = behind.mean(axis=-1, keepdims=True).clip(1)
        light = (light / np.median(light)).clip(0.25)
        away = (page - behind) / light
        line = _contrast(away.reshape(-1, 3))
        ink = away @ line
        inked = np.abs(ink) > 0.6 * _otsu(np.abs(ink))
    return ink, _steps(page @ line) / light[..., 0]


def _contrast(away: np.ndarray) -> np.ndarray:
    """The line on which ink stands out, in units of the page's deviation."""
    white = away
    for _ in range(3):
        distance = np.linalg.norm(white, axis=1)
        page = away[distance <= np.median(distance)]
        scale = np.linalg.cholesky(np.linalg.inv(np.cov(page.T) + np.eye(3)))
        white = away @ scale
    distance = np.linalg.norm(white, axis=1)
    inked = white[distance >= _otsu(distance)]
    return scale @ np.linalg.eigh(inked.T @ inked)[1][:, -1]


def _resized(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    shape = [max(1, round(x * scale)) for x in image.size]
    kind = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return image.resize(shape, kind)


def _background(
    image: Image.Image, inked: np.ndarray, before: np.ndarray, cells: int
) -> np.ndarray:
    """The page without ink: the median of the colours around each pixel.

    A median keeps the edge of a shadow, as a mean does not. Where there is
    nothing but ink, the page is what it was `before`.
    """
    coarse = np.array(_resized(image, cells), "float32")
    coarse[np.asarray(_resized(_gray(inked), cells)) > 0.1] = np.nan
    rows, columns = coarse.shape[:2]
    coarse = np.pad(coarse, [(_REACH,) * 2] * 2 + [(0, 0)], "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(
        coarse, (2 * _REACH + 1,) * 2, axis=(0, 1)
    )
    windows = np.sort(windows.reshape(rows, columns, 3, -1))
    count = (~np.isnan(windows)).sum(axis=-1, keepdims=True)  # NaN is last.
    medians = np.take_along_axis(windows, count // 2, axis=-1)[..., 0]
    missing = np.isnan(medians)
    fine = [
        np.asarray(_gray(x).resize(image.size, Image.Resampling.BILINEAR))
        for x in np.moveaxis(np.where(missing, 0, medians), -1, 0)
    ]
    hole = np.asarray(_gray(missing.any(-1)).resize(image.size)) > 0
    return np.where(hole[..., None], before, np.stack(fine, -1))


def _gray(values):
    return Image.fromarray(values.astype("float32"))


def _otsu(values):
    """The threshold that separates two classes best (Otsu, 1979)."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = total / below - (total[-1] - total) / above
        between = np.nan_to_num(below * above * gap**2)
    return middles[np.argmax(between)]


def _strokes(ink, flat):
    """The digit alone, for both signs of ink: float32, 0-1."""
    return [_digit(ink, flat), _digit(-ink, flat)]


def _digit(ink: np.ndarray, flat: np.ndarray) -> np.ndarray:
    ink = ink.clip(0)
    level = np.percentile(ink[ink >= _otsu(ink)], 75)
    if level < _FAINTEST:
        return 0, np.zeros_like(ink)
    mask = ink > 0.4 * level
    score, keep = _chosen(_labels(mask), flat > 0.35 * level)
    near = _widened(keep, 4) & ~(mask & ~keep)
    return score, np.where(near, ((ink / level - 0.2) / 0.6).clip(0, 1), 0)


def _widened(mask, reach):
    filter = ImageFilter.MaxFilter(2 * reach + 1)
    return np.asarray(Image.fromarray(mask).convert("L").filter(filter)) > 0


def _steps(values):
    """How much they change in 11 x 11 pixels."""
    low, high = values.min(), values.max()
    scale = max(high - low, 1e-9) / 255
    image = Image.fromarray(np.rint((values - low) / scale).astype("uint8"))
    highest = np.asarray(image.filter(ImageFilter.MaxFilter(11)), "float32")
    return scale * (highest - image.filter(ImageFilter.MinFilter(11)))


def _cropped(ink):
    rows, columns = np.nonzero((ink > .3).any(1))[0], np.nonzero((ink > .3).any(0))[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _labels(mask):
    """Which 8-connected part each pixel belongs to; 0 is none."""
    index = np.full(np.add(mask.shape, 2), -1)
    index[1:-1, 1:-1][mask] = np.arange(mask.sum())
    here = index[1:-1, 1:-1]
    pairs = []
    for other in (index[1:-1, 2:], index[2:, 1:-1], index[2:, 2:], index[2:, :-2]):
        both = (here >= 0) & (other >= 0)
        pairs.append((here[both], other[both]))
    a, b = (np.concatenate(x) for x in zip(*pairs))
    root = np.arange(mask.sum())
    while True:
        low = np.minimum(root[a], root[b])
        new = root.copy()
        np.minimum.at(new, root[a], low)
        np.minimum.at(new, root[b], low)
        new = new[new]
        new = new[new]
        if (new == root).all():
            break
        root = new
    labels = np.zeros(mask.shape, int)
    labels[mask] = np.unique(root, return_inverse=True)[1] + 1
    return labels


def _chosen(parts: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """The parts that are the digit."""
    def count(where):
        return np.bincount(parts[where], minlength=parts.max() + 1)

    inner = np.zeros(parts.shape, bool)
    p = parts
    inner[1:-1, 1:-1] = (p[:-2, 1:-1] > 0) & (p[2:, 1:-1] > 0) & (p[1:-1, :-2] > 0) & (p[1:-1, 2:] > 0)
    edge = np.ones(p.shape, bool); edge[1:-1, 1:-1] = False
    area = count(parts > 0).astype(float)
    outline = count(~inner)
    area[count(~inner & sharp & ~edge) < 0.9 * outline] = 0
    margin = np.ones(p.shape, bool); m = 6; margin[m:-m, m:-m] = False
    area[count(margin) > 0] *= 0.1
    area[0] = 0
    main = area.argmax()
    if area[main] == 0:
        return 0, np.zeros(p.shape, bool)
    keep = parts == main
    rows, columns = np.nonzero(keep.any(1))[0], np.nonzero(keep.any(0))[0]
    extent = max(np.ptp(rows), np.ptp(columns))
    if extent < 8:
        return 0, np.zeros(p.shape, bool)
    reach = round(0.2 * extent)
    box = parts[max(rows[0] - reach, 0) : rows[-1] + reach, max(columns[0] - reach, 0) : columns[-1] + reach]
    near = np.unique(box)
    near = near[area[near] > 0.05 * area[main]]
    return area[main], np.isin(parts, near)


def _fitted(ink):
    height, width = ink.shape
    scale = _BOX / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = Image.fromarray(ink.astype("float32")).resize(shape, Image.Resampling.BICUBIC)
    return np.asarray(small).clip(0, 1)


def _centred(small):
    size = task.IMAGE_SIZE
    image = np.zeros((size, size), "float32")
    height, width = small.shape
    row, column = _centre(small)
    top = min(max(round(size / 2 - row), 0), size - height)
    left = min(max(round(size / 2 - column), 0), size - width)
    image[top : top + height, left : left + width] = small
    return np.rint(255 * image / image.max()).astype("uint8")
