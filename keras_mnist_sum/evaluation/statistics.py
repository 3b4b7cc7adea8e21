"""How far a probability, an accuracy or a difference of two may be trusted.

The unit is the image: its ten pairs are right or wrong together.
"""

from dataclasses import dataclass

import numpy as np

_QUANTILE = 1.96  # of the normal distribution, for 95 %
_FLIPS, _AT_ONCE = 10_000, 100


@dataclass(frozen=True, eq=False)
class Bins:
    """Predictions of one output, in 15 bins of confidence of equal width.

    Attributes:
        count: float64 `(15,)`: the predictions in each bin.
        confidence: float64 `(15,)`: the sum of their confidences.
        right: float64 `(15,)`: how many of them are right.
        images: int64 `(15,)`: of how many images they are.
    """

    count: np.ndarray
    confidence: np.ndarray
    right: np.ndarray
    images: np.ndarray

    def error(self) -> float:
        """The expected calibration error, 0-1."""
        gaps = np.abs(self.confidence - self.right)
        return float(gaps.sum() / self.count.sum())


def interval_over_images(correct: np.ndarray) -> tuple[float, float]:
    """A 95 % interval of an accuracy, for other images of the same kind.

    The ten pairs of an image are right or wrong together, so they are no ten
    observations. The variance is that of the images' means, and Wilson's
    interval takes as many observations as would have it (Dean and Pagano,
    2015, https://doi.org/10.1093/jssam/smv024).

    Args:
        correct: bool `(images, 10)`, which predictions are right.

    Returns:
        Its ends, 0-1.
    """
    images = len(correct)
    means = correct.mean(axis=1)
    mean = means.mean()
    # Equal means may differ from their own mean in its last bit.
    variance = means.var(ddof=1) / images if np.ptp(means) else 0.0
    size = mean * (1 - mean) / variance if variance else images
    low, high = wilson_interval(mean, size)
    return float(low), float(high)


def wilson_interval(
    share: np.ndarray, size: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of shares, 0-1, of `size` observations each."""
    square = _QUANTILE**2 / size
    center = (share + square / 2) / (1 + square)
    half = np.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return np.maximum(center - half, 0), np.minimum(center + half, 1)


def paired_test(first: np.ndarray, second: np.ndarray) -> float:
    """How likely a difference this large is if two models are equally good.

    Where both are single models, this is McNemar's exact test: of the images
    that one has right and the other wrong, each has either kind with the same
    probability (McNemar, 1947). Means over seeds differ by fractions: then the
    signs of the differences are drawn, 10,000 times.

    Args:
        first: float `(images,)`: which images are right, 0 or 1, or in what
            share of the seeds.
        second: The same of the other.

    Returns:
        The two-sided p-value, 0-1: for these trained models, on other images.
    """
    differences = np.asarray(first, "float64") - second
    differences = differences[differences != 0]
    sizes = np.abs(differences)
    if not len(sizes):
        return 1.0
    if np.allclose(sizes, sizes[0]):
        count, few = len(sizes), int((differences > 0).sum())
        few = min(few, count - few)
        term = tail = 1  # of (count over k), k from 0 to few
        for k in range(few):
            term = term * (count - k) // (k + 1)
            tail += term
        return min(1.0, tail * 2 / 2**count)
    rng, found = np.random.default_rng(0), 0
    for _ in range(0, _FLIPS, _AT_ONCE):
        flips = rng.integers(0, 2, (_AT_ONCE, len(sizes)), "int8")
        totals = np.abs(2 * (flips @ sizes) - sizes.sum())
        found += int((totals >= abs(differences.sum()) - 1e-9).sum())
    return (found + 1) / (_FLIPS + 1)
