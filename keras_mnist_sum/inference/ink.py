"""How much ink is in each pixel of a picture, whatever its page is like."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL import ImageFilter

from keras_mnist_sum.inference.regions import highest_near
from keras_mnist_sum.inference.regions import margin

SIDE = 320  # pixels: the longer side of the picture that is worked on
_CELLS = 40  # the longer side of the grid on which the page is estimated
LITTLE = 0.0005  # part of a picture: the ink of a small digit
_REACH = 10  # cells each way, whose median is the page


@dataclass(frozen=True, eq=False)
class Ink:
    """What stands out from the page.

    Attributes:
        amount: How far each pixel is from the page behind it, in deviations of
            the page: float array of shape `(rows, columns)`, the longer of
            which is 320. Ink may be at the positive or at the negative end.
        steps: How much the picture itself changes around each pixel.
    """

    amount: np.ndarray
    steps: np.ndarray


def worked_on(colours: np.ndarray) -> Image.Image:
    """The picture without its finest noise, 320 pixels on its longer side.

    Args:
        colours: uint8 array of shape `(height, width, 3)`.
    """
    image = _resized(Image.fromarray(colours), SIDE)
    return image.filter(ImageFilter.GaussianBlur(1))


def measured(image: Image.Image, little: bool = False) -> Ink:
    """Measures each pixel on the line of colours from page to ink.

    The page is what most of the picture looks like.

    Args:
        image: From `worked_on`.
        little: Whether there is as little ink as of a small digit on a page.
    """
    pixels = np.asarray(image, "float32")
    page = np.zeros_like(pixels)
    inked = np.zeros(pixels.shape[:2], bool)
    for _ in range(2):
        page = _page(image, inked, page)
        found = _compared(pixels, page, little=little)
        amount = np.abs(found.amount)
        inked = amount > 0.6 * (
            np.quantile(amount, 1 - LITTLE) if little else otsu(amount)
        )
    return found


def filling(image: Image.Image) -> Ink | None:
    """Measures the ink of what fills the picture, as a tight crop does.

    Such a picture has two colours, and the page is what has most of its edge.

    Returns:
        The ink, at the positive end; `None` if the picture is not like that.
    """
    pixels = np.asarray(image, "float32")
    values = pixels - pixels.mean(axis=(0, 1))
    flat = values.reshape(-1, 3)[::5]
    values = values @ np.linalg.eigh(flat.T @ flat)[1][:, -1]
    inked = values > otsu(values)
    edge = margin(inked.shape, 1)
    if inked[edge].mean() > 0.5:
        inked = ~inked
    share = inked.mean()
    if share < 0.1:
        return None
    within = share * values[inked].var() + (1 - share) * values[~inked].var()
    if within > 0.25 * values.var():
        return None
    page = np.zeros_like(pixels) + pixels[~inked].mean(axis=0)
    page = _page(image, inked, page)
    return _compared(pixels, page, inked)


def otsu(values: np.ndarray) -> float:
    """The threshold that separates them best (Otsu, 1979,
    https://doi.org/10.1109/TSMC.1979.4310076)."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    total = np.cumsum(counts * middles)
    gap = total[:-1] / below.clip(1) - (total[-1] - total[:-1]) / above.clip(1)
    return float(middles[np.argmax(below * above * gap**2)])


def _compared(
    pixels: np.ndarray,
    page: np.ndarray,
    inked: np.ndarray | None = None,
    little: bool = False,
) -> Ink:
    """The pixels minus the page, on the line on which ink stands out."""
    light = page @ np.full((3, 1), 1 / 3, "float32")
    light += 50  # The dark is noisy, too.
    light /= np.median(light)
    away = (pixels - page) / light
    line = _contrast(away, inked, little)
    steps = _steps(pixels @ line) / light[..., 0]
    return Ink(away @ line, steps)


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


def _contrast(
    away: np.ndarray, inked: np.ndarray | None, little: bool
) -> np.ndarray:
    """The line on which ink stands out most, in units of the page's deviation.

    The nearer half of the pixels is taken for the page. Its texture and noise
    are made alike in all directions, and the ink decides on one.

    Args:
        away: `(rows, columns, 3)`, the colours minus the page's.
        inked: `(rows, columns)`, if it is known what is ink.
    """
    if inked is not None:
        page, ink = away[~inked], away[inked]
        whitening = _whitening(page)
        line = whitening @ (ink.mean(axis=0) @ whitening)
        return line / np.linalg.norm(ink.mean(axis=0) @ whitening)
    away = away.reshape(-1, 3)
    some = white = away[::5]
    for _ in range(3):
        distance = np.linalg.norm(white, axis=1)
        whitening = _whitening(some[distance <= np.median(distance)])
        white = some @ whitening
    if little:
        white = away @ whitening
    distance = np.linalg.norm(white, axis=1)
    least = np.quantile(distance, 1 - LITTLE) if little else otsu(distance)
    ink = white[distance >= least]
    return whitening @ np.linalg.eigh(ink.T @ ink)[1][:, -1]


def _whitening(page: np.ndarray) -> np.ndarray:
    deviation = np.cov(page.T) + np.eye(3)  # one step of a colour at least
    return np.linalg.cholesky(np.linalg.inv(deviation))


def _steps(values: np.ndarray) -> np.ndarray:
    """How much the values differ in the 11 x 11 pixels around each one."""
    return highest_near(values, 5) + highest_near(-values, 5)


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
