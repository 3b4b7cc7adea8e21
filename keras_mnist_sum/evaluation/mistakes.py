"""Which test images a model gets wrong, and how sure it was of that."""

from dataclasses import dataclass

import numpy as np

from keras_mnist_sum.evaluation.scores import Predictions


@dataclass(frozen=True)
class Mistake:
    """A test image that has at least one wrong prediction.

    Attributes:
        index: Which image.
        pairs: With how many of the ten numbers a prediction is wrong.
        name: The output that is shown for it: the digit if that is wrong, else
            the one with the surest wrong prediction.
        number: The number with which that prediction was surest.
        confidence: Its probability, 0-1; `None` if the output is a value.
    """

    index: int
    pairs: int
    name: str
    number: int
    confidence: float | None


def find_mistakes(predictions: Predictions) -> list[Mistake]:
    """Every image that has at least one wrong prediction, surest first.

    Those without a confidence come last, by the size of the error.
    """
    names = list(predictions.task)
    sure = np.stack([_sureness(predictions, name) for name in names], axis=-1)
    # Beside a wrong digit, a wrong sum is no news.
    digit_wrong = ~predictions.correct["digit"].all(axis=1)
    others = np.array([name != "digit" for name in names])
    news = ~np.outer(digit_wrong, others)[:, np.newaxis]
    sure = np.where(news, sure, -np.inf)
    sure = sure.reshape(len(sure), -1)  # (images, 10 * outputs)
    surest, place = sure.max(axis=1), sure.argmax(axis=1)
    wrong_pairs = (~predictions.all_correct).sum(axis=1)
    order = np.argsort(-surest, kind="stable")
    return [
        Mistake(
            index=int(index),
            pairs=int(wrong_pairs[index]),
            name=names[place[index] % len(names)],
            number=int(place[index] // len(names)),
            confidence=float(surest[index]) if surest[index] > 0 else None,
        )
        for index in order
        if wrong_pairs[index]
    ]


def _sureness(predictions: Predictions, name: str) -> np.ndarray:
    """Of wrong predictions, `(images, 10)`: their probability, or, of values,
    what lies between -1 and 0 and grows with the error; else -infinity."""
    if name in predictions.confidence:
        sure = predictions.confidence[name].astype("float64")
    else:
        sure = -1 / (1 + np.abs(predictions.errors[name]))
    # Of what is no number at all, 0.
    return np.where(predictions.correct[name], -np.inf, np.nan_to_num(sure))
