"""What wrong sums of runs look like, head beside head.

    python -m benchmarks wrong_sums TITLE=RUN [TITLE=RUN ...]

predicts every pair of a run's test set.
"""

import argparse
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from benchmarks import harness
from benchmarks.figures.heads_figure import predictions_of
from keras_mnist_sum.evaluation.scores import Predictions

SMOKE: dict[str, Any] = {}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="TITLE=RUN")


def main(values: argparse.Namespace) -> None:
    found = {k: count(x) for k, x in predictions_of(values.runs).items()}
    titles = " ".join(f"{title}=RUN" for title in found)
    command = f"python -m benchmarks wrong_sums {titles}"
    harness.save(values, {"command": command, "heads": found})


def count(predictions: Predictions) -> dict[str, float]:
    """Of a model with wrong sums: which they are, and whether it knew.

    Returns:
        Counts of pairs and of images, shares of pairs, medians of the
        probability of the answer, and the area under the ROC curve: how often
        the right one of two sums is the surer one.
    """
    wrong = ~predictions.correct["sum"]  # (images, 10)
    beside = wrong & predictions.correct["digit"]
    errors = predictions.predicted["sum"] - predictions.labels["sum"]
    off, images = np.abs(errors)[beside], beside.any(axis=1)
    found = {
        "wrong": int(wrong.sum()),
        "beside_right_digit": len(off),
        "images": int(images.sum()),
        "images_with_all_numbers": int(beside.all(axis=1).sum()),
    }
    if len(off):
        digit = predictions.confidence["digit"].max(axis=1)
        others = ~images & predictions.correct["digit"].all(axis=1)
        found |= {
            "off_by_one": round(float(np.mean(off == 1)), 4),
            "off_by_two_at_most": round(float(np.mean(off <= 2)), 4),
            "sure_of_digit": _median(digit[images]),
            "sure_of_digit_of_others": _median(digit[others]),
        }
    if "sum" in predictions.confidence:
        sure = predictions.confidence["sum"].astype("float64")
        pairs = wrong.sum() * (~wrong).sum()
        area = mannwhitneyu(sure[~wrong], sure[wrong]).statistic / pairs
        found |= {
            "sure_of_right": _median(sure[~wrong]),
            "sure_of_wrong": _median(sure[wrong]),
            "area": round(float(area), 4),
        }
    return found


def _median(values: np.ndarray) -> float:
    return round(float(np.median(values)), 6)
