"""Regions of a picture, as masks."""

import numpy as np


def box_of(mask: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that hold the whole mask."""
    rows = np.nonzero(mask.any(axis=1))[0]
    columns = np.nonzero(mask.any(axis=0))[0]
    return (
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )


def highest_near(values: np.ndarray, reach: int) -> np.ndarray:
    """The highest value at most `reach` away from each one, also diagonally."""
    size = 2 * reach + 1
    values = np.pad(values, reach, "edge")
    for _ in range(2):  # down the columns, then along the rows
        span = 1
        while span < size:
            step = min(span, size - span)
            values = np.maximum(values[step:], values[:-step])
            span += step
        values = values.T
    return values


def margin(shape: tuple[int, ...], width: int) -> np.ndarray:
    """The mask of what is less than `width` away from the edge."""
    mask = np.ones(shape, bool)
    mask[width:-width, width:-width] = False
    return mask


def numbered(mask: np.ndarray) -> np.ndarray:
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
