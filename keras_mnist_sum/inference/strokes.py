"""The strokes of a digit in a picture, without the page behind them."""

import numpy as np
from PIL import Image
from PIL import ImageFilter
from PIL import ImageOps

_SIDE = 320  # pixels: the longer side of the picture that is worked on
_CELLS = 40  # the longer side of the grid on which the page is estimated
_REACH = 10  # cells each way, whose median is the page
_FAINTEST = 8  # deviations of the page: fainter ink is not seen


def find_strokes(colours: np.ndarray) -> np.ndarray:
    """Finds the digit, in ink of any colour that differs from the page's.

    Args:
        colours: uint8 array of shape `(height, width, 3)`.

    Returns:
        The digit's strokes alone, 0-1: float32 array of shape `(rows,
        columns)`, the longer of which is 320. All 0 if there is no digit.
    """
    ink, steps = _ink(colours)
    # Dark ink on a light page, or the other way round.
    dark, light = _digit(ink, steps), _digit(-ink, steps)
    return max(dark, light, key=lambda found: found[0])[1]


def _ink(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measures each pixel on the line of colours from page to ink.

    Returns:
        How far each pixel is from the page behind it, in deviations of the
        page. The ink may be at the positive or at the negative end. And how
        much the picture itself changes around each pixel.
    """
    image = _resized(Image.fromarray(colours), _SIDE)
    image = image.filter(ImageFilter.GaussianBlur(1))
    pixels = np.asarray(image, "float32")
    page = np.zeros_like(pixels)
    inked = np.zeros(pixels.shape[:2], bool)
    for _ in range(2):
        page = _page(image, inked, page)
        light = page.mean(axis=2, keepdims=True) + 50  # The dark is noisy, too.
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

    A median keeps the edge of a shadow; a mean would blur it. Where there is
    only ink, the page stays as it was `before`.
    """
    cells = np.array(_resized(image, _CELLS), "float32")
    cells[np.asarray(_resized(_gray(inked), _CELLS)) > 0.1] = np.nan
    shape = cells.shape
    reach = (_REACH, _REACH)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(cells, [reach, reach, (0, 0)], "reflect"),
        (2 * _REACH + 1, 2 * _REACH + 1),
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

    The nearer half of the pixels is taken for the page. Its texture and noise
    are made alike in all directions, and the ink decides on one.

    Args:
        away: `(pixels, 3)`, the colours minus the page's.
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
    """How much the values differ in the 11 x 11 pixels around each one."""
    low = values.min()
    unit = max(np.ptp(values), 1e-9) / 255
    image = Image.fromarray(np.rint((values - low) / unit).astype("uint8"))
    highest = np.asarray(highest_near(image, 5), "float32")
    lowest = 255 - np.asarray(highest_near(ImageOps.invert(image), 5))
    return unit * (highest - lowest)


def _otsu(values: np.ndarray) -> float:
    """The threshold that separates them best (Otsu, 1979,
    https://doi.org/10.1109/TSMC.1979.4310076)."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    total = np.cumsum(counts * middles)
    gap = total[:-1] / below.clip(1) - (total[-1] - total[:-1]) / above.clip(1)
    return float(middles[np.argmax(below * above * gap**2)])


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
    near = widened(chosen, 4) & (chosen | ~mask)  # with its soft edge
    strokes = np.where(near, (ink / level - 0.2) / 0.6, 0).clip(0, 1)
    return area * level, strokes


def _parts(mask: np.ndarray) -> np.ndarray:
    """Numbers the connected parts from 1, diagonals included; 0 elsewhere.

    Does what `scipy.ndimage.label` does, whose import takes longer than this.
    """
    number = np.full(np.add(mask.shape, 2), -1)
    number[1:-1, 1:-1][mask] = np.arange(mask.sum())
    here = number[1:-1, 1:-1]
    below = number[2:]
    neighbours = np.stack(
        [number[1:-1, 2:], below[:, :-2], below[:, 1:-1], below[:, 2:]]
    )
    both = (here >= 0) & (neighbours >= 0)
    one = np.broadcast_to(here, neighbours.shape)[both]
    other = neighbours[both]
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
    """The largest part, and other parts of some size close to it.

    Ink has a sharp edge all round. Shadows and the corners of a page do not.
    What reaches the picture's margin is a digit only if there is hardly
    anything else.

    Returns:
        The area of the largest part, reduced at the margin; 0 if there is
        none. And a mask.
    """

    def count(where: np.ndarray) -> np.ndarray:
        return np.bincount(parts[where], minlength=parts.max() + 1)

    drawn = parts > 0
    outline = drawn & widened(~drawn, 1) & ~_margin(parts.shape, 1)
    area = count(drawn).astype("float64")
    area[count(outline & sharp) < 0.9 * count(outline)] = 0
    area[count(_margin(parts.shape, 6)) > 0] *= 0.02
    area[0] = 0
    main = int(area.argmax())
    rows, columns = box_of(parts == main)
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


def box_of(mask: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that hold the whole mask."""
    rows = np.nonzero(mask.any(axis=1))[0]
    columns = np.nonzero(mask.any(axis=0))[0]
    return (
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )


def widened(mask: np.ndarray, reach: int) -> np.ndarray:
    """The mask and all pixels at most `reach` away, also diagonally."""
    image = Image.fromarray(mask).convert("L")
    return np.asarray(highest_near(image, reach)) > 0


def highest_near(image: Image.Image, reach: int) -> Image.Image:
    """The highest value at most `reach` away from each pixel."""
    for _ in range(reach):  # Many small filters are faster than a large one.
        image = image.filter(ImageFilter.MaxFilter(3))
    return image


def _resized(image: Image.Image, side: int) -> Image.Image:
    """The image, `side` pixels long on its longer side."""
    scale = side / max(image.size)
    shape = [max(1, round(x * scale)) for x in image.size]
    resampling = Image.Resampling
    return image.resize(
        shape, resampling.BOX if scale < 1 else resampling.BICUBIC
    )


def _gray(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype("float32"))
