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
_COARSE = 8  # of those pixels make one where the background is estimated
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
        return colours[..., 0]
    ink = _ink(colours)
    return _centred(_fitted(_digit(ink)))


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


def _ink(colours: np.ndarray) -> np.ndarray:
    """How far each pixel is from the page behind it, towards the ink."""
    image = Image.fromarray(colours)
    shape = _fit(image.size, _SIDE)
    image = image.resize(shape, _finest(image.size, shape))
    image = image.filter(ImageFilter.GaussianBlur(1))
    page = np.asarray(image, "float32")
    mask = np.zeros(page.shape[:2], bool)
    for _ in range(2):
        behind = _background(image, mask)
        light = behind.mean(-1).clip(1)
        light = (light / np.median(light)).clip(0.25)
        away = (page - behind) / light[..., np.newaxis]
        ink = away @ _towards_ink(away.reshape(-1, 3))
        mask = ink > 0.6 * _otsu(ink)
    return ink


def _towards_ink(away: np.ndarray) -> np.ndarray:
    """Fisher's discriminant of page and ink."""
    distance = np.linalg.norm(away, axis=1)
    for _ in range(3):
        page = away[distance <= np.median(distance)]
        weights = np.linalg.inv(np.cov(page.T) + np.eye(3))
        distance = np.sqrt(np.sum(away @ weights * away, axis=1))
    inked = away[distance >= _otsu(distance)]
    direction = weights @ inked.mean(0)
    return direction / np.linalg.norm(direction)


def _fit(size, side):
    scale = side / max(size)
    return tuple(max(1, round(x * scale)) for x in size)


def _finest(old, new):
    return Image.Resampling.BOX if max(new) < max(old) else Image.Resampling.BICUBIC


def _background(image: Image.Image, ink: np.ndarray) -> np.ndarray:
    """The page as it would be without ink: the median around each pixel."""
    shape = _fit(image.size, _SIDE // _COARSE)
    coarse = np.asarray(image.resize(shape, Image.Resampling.BOX), "float32")
    inked = np.asarray(
        Image.fromarray(ink.astype("float32")).resize(shape, Image.Resampling.BOX)
    )
    reach = max(shape) // 4
    # Odd reflection goes on with a slope of the light.
    coarse = np.pad(
        coarse, ((reach,) * 2, (reach,) * 2, (0, 0)), "reflect", reflect_type="odd"
    )
    inked = np.pad(inked > 0.1, reach, "reflect")
    medians = _medians(np.where(inked[..., np.newaxis], np.nan, coarse), reach)
    medians = np.where(np.isnan(medians), _medians(coarse, reach), medians)
    return np.stack(
        [
            np.asarray(Image.fromarray(x).resize(image.size, Image.Resampling.BICUBIC))
            for x in np.moveaxis(medians, -1, 0).copy()
        ],
        axis=-1,
    )


def _medians(values, reach):
    windows = np.lib.stride_tricks.sliding_window_view(
        values, (2 * reach + 1,) * 2, (0, 1)
    )
    windows = np.sort(windows.reshape(*windows.shape[:3], -1), axis=-1)
    count = (~np.isnan(windows)).sum(-1, keepdims=True)  # NaN comes last.
    return np.take_along_axis(windows, count // 2, -1)[..., 0]


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


def _digit(ink):
    """The digit alone: float32, 0-1, cropped."""
    threshold = _otsu(ink)
    level = np.percentile(ink[ink > threshold], 75)
    noise = 1.4826 * np.median(np.abs(ink - np.median(ink)))
    mask = ink > 0.4 * level
    parts = _labels(mask)
    keep = _chosen(parts, mask)
    if level < max(12, 5 * noise) or not keep.any():
        raise InputError(f"Nothing is drawn here. Received: level={level} noise={noise}")
    near = np.asarray(Image.fromarray(keep).convert("L").filter(ImageFilter.MaxFilter(9))) > 0
    near &= ~(mask & ~keep)
    ink = np.where(near, ((ink / level - 0.2) / 0.6).clip(0, 1), 0)
    rows, columns = np.nonzero(keep.any(1))[0], np.nonzero(keep.any(0))[0]
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


def _chosen(parts, mask):
    count = parts.max() + 1
    area = np.bincount(parts.ravel(), minlength=count).astype(float)
    area[0] = 0
    border = np.zeros(parts.shape, bool)
    border[[0, -1]] = border[:, [0, -1]] = True
    touch = np.bincount(parts[border], minlength=count) > 0
    inner = np.where(touch, 0, area)
    if inner.max() > 0.001 * parts.size:
        area = inner
    main = area.argmax()
    keep = parts == main
    rows, columns = np.nonzero(keep.any(1))[0], np.nonzero(keep.any(0))[0]
    reach = round(0.2 * max(np.ptp(rows), np.ptp(columns)))
    box = parts[max(rows[0] - reach, 0) : rows[-1] + reach, max(columns[0] - reach, 0) : columns[-1] + reach]
    near = np.unique(box)
    near = near[area[near] > 0.05 * area[main]]
    return np.isin(parts, near)


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
