"""The strokes of a digit in a picture, without the page behind them."""

from dataclasses import dataclass

import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference import ink as inks
from keras_mnist_sum.inference.regions import box_of
from keras_mnist_sum.inference.regions import highest_near
from keras_mnist_sum.inference.regions import margin
from keras_mnist_sum.inference.regions import numbered

Box = tuple[slice, slice]

_EDGE = 6  # pixels: what is that near to the edge may go on outside
_FAINTEST = 8  # deviations of the page: fainter ink is not seen
_SMALL = inks.SIDE // 3  # A smaller digit is looked at again, by itself.


@dataclass(frozen=True, eq=False)
class _Found:
    """What may be a digit.

    Attributes:
        weight: The area of its largest part, reduced at the margin; 0 if there
            is none.
        strokes: It alone.
        several: Whether there is another one.
    """

    weight: float
    strokes: np.ndarray
    several: bool = False


_NOTHING = _Found(0.0, np.zeros((1, 1), "float32"))


def find_strokes(colours: np.ndarray) -> np.ndarray:
    """Finds the digit, in ink of any colour that differs from the page's.

    Args:
        colours: uint8 array of shape `(height, width, 3)`.

    Returns:
        The digit's strokes alone, 0-1: float32 array of shape `(rows,
        columns)`, the longer of which is 320. All 0 if there is no digit.
    """
    strokes = _found(colours, may_fill=True)
    if not strokes.any():
        return strokes
    box = box_of(strokes > 0)
    extent = max(x.stop - x.start for x in box)
    scale = max(colours.shape) / max(strokes.shape)
    if extent > _SMALL or scale < 1.2:
        return strokes
    rows, columns = (
        slice(
            max(round(scale * (x.start - 0.8 * extent)), 0),
            round(scale * (x.stop + 0.8 * extent)),
        )
        for x in box
    )
    closer = _found(colours[rows, columns], may_fill=False)
    return closer if closer.any() else strokes


def _found(colours: np.ndarray, may_fill: bool) -> np.ndarray:
    best = _NOTHING
    image = inks.worked_on(colours)
    if may_fill and (ink := inks.filling(image)):
        best = _digit(ink, 1, fills=True)
    for little in (False, True):
        if not best.weight:
            ink = inks.measured(image, little)
            # Dark ink on a light page, or the other way round.
            both = (_digit(ink, sign, little=little) for sign in (1, -1))
            best = max(both, key=lambda found: found.weight)
    if best.several:
        raise InputError(
            "A picture must show one digit, and nothing else of its size. "
            "Received: two or more"
        )
    return best.strokes


def _digit(
    ink: inks.Ink, sign: int, fills: bool = False, little: bool = False
) -> _Found:
    """The digit in ink of that sign."""
    amount = (sign * ink.amount).clip(0)
    if little:
        level = float(np.quantile(amount, 1 - inks.LITTLE))
    else:
        level = float(np.percentile(amount[amount >= inks.otsu(amount)], 75))
    if level < (_FAINTEST / 2 if fills else _FAINTEST):
        return _NOTHING
    mask = amount > 0.4 * level
    found = _chosen(numbered(mask), ink.steps > 0.35 * level, fills)
    if not found.weight:
        return found
    chosen = found.strokes
    near = highest_near(chosen, 4) & (chosen | ~mask)  # with its soft edge
    strokes = np.where(near, (amount / level - 0.2) / 0.6, 0).clip(0, 1)
    return _Found(found.weight * level, strokes, found.several)


def _chosen(parts: np.ndarray, sharp: np.ndarray, fills: bool) -> _Found:
    """The largest part, and other parts of some size close to it.

    Ink has a sharp edge all round. Shadows and the corners of a page do not.
    What reaches the picture's margin is a digit only if there is hardly
    anything else, or if it `fills` the picture.
    """

    def count(where: np.ndarray) -> np.ndarray:
        return np.bincount(parts[where], minlength=parts.max() + 1)

    drawn = parts > 0
    outline = drawn & highest_near(~drawn, 1) & ~margin(parts.shape, 1)
    area = count(drawn).astype("float64")
    least = 0.7 if fills else 0.9  # Uneven light weighs more where ink does.
    area[count(outline & sharp) < least * count(outline)] = 0
    area[0] = 0
    whole = area.copy()
    if not fills:
        whole[count(margin(parts.shape, _EDGE)) > 0] = 0
        area = np.maximum(whole, 0.02 * area)
    main = int(area.argmax())
    if area[main] == 0:
        return _NOTHING
    box = rows, columns = box_of(parts == main)
    extent = max(rows.stop - rows.start, columns.stop - columns.start)
    if extent < 6 or (fills and not _may_fill(parts == main, extent)):
        return _NOTHING
    reach = round(0.2 * extent)
    close = np.unique(
        parts[
            max(rows.start - reach, 0) : rows.stop + reach,
            max(columns.start - reach, 0) : columns.stop + reach,
        ]
    )
    kept = np.isin(parts, close[area[close] > 0.05 * area[main]])
    if kept[[0, 0, -1, -1], [0, -1, 0, -1]].sum() > 2:  # It is the page.
        return _NOTHING
    others = np.nonzero(whole > 0.1 * area[main])[0]
    several = any(_are_two(box, box_of(parts == other)) for other in others)
    return _Found(float(area[main]), kept, several)


def _may_fill(part: np.ndarray, extent: int) -> bool:
    """Whether it is a digit that was cut out, not a shadow."""
    edges = part[:_EDGE], part[-_EDGE:], part[:, :_EDGE], part[:, -_EDGE:]
    reached = sum(bool(edge.any()) for edge in edges)
    if reached == 4:
        return True  # What is cut out all round can be as thick as it is.
    thin = highest_near(~part, round(0.22 * extent)).all()
    return reached < 2 and bool(thin)


def _are_two(one: Box, other: Box) -> bool:
    """Whether they are two digits, not the parts of one.

    They are of similar size, and all of one is beside or above the other.
    """
    high, wide = np.array(
        [[x.stop - x.start for x in box] for box in (one, other)]
    ).T
    alike = high.min() > 0.5 * high.max()
    down, along = (
        max(one[i].start, other[i].start) - min(one[i].stop, other[i].stop)
        for i in (0, 1)
    )
    if along > 0.06 * high.max():
        return bool(alike)
    if down > 0.1 * high.max():
        return bool(alike and (high > 0.7 * wide).all())
    return False
