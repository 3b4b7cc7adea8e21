"""Which test images a model gets wrong, and how sure it was of that."""

from dataclasses import dataclass

import numpy as np

from keras_mnist_sum.evaluation.scores import Answers


@dataclass(frozen=True)
class Mistake:
    """A test image that has at least one wrong answer.

    Attributes:
        index: Which image.
        pairs: With how many of the ten numbers at least one answer is wrong.
        name: The output that is shown for it: the digit if that is wrong, else
            the sum or the difference, the one with the surest wrong answer.
        number: The number with which that answer was surest.
        confidence: The probability, 0-1, that this answer had; `None` if the
            output is a value.
    """

    index: int
    pairs: int
    name: str
    number: int
    confidence: float | None


def find_mistakes(answers: Answers) -> list[Mistake]:
    """Every image that has at least one wrong answer, surest first.

    Those without a confidence come last, by the size of the error.
    """
    names = list(answers.outputs)
    sure = np.stack([_sureness(answers, name) for name in names], axis=-1)
    # Beside a wrong digit, a wrong sum is no news.
    digit_wrong = ~answers.right["digit"].all(axis=1)
    sure[digit_wrong, :, names.index("digit") + 1 :] = -np.inf
    sure = sure.reshape(len(sure), -1)  # (images, 10 * outputs)
    surest, place = sure.max(axis=1), sure.argmax(axis=1)
    wrong_pairs = (~answers.all_right).sum(axis=1)
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


def _sureness(answers: Answers, name: str) -> np.ndarray:
    """Of wrong answers, `(images, 10)`: their probability, or, of values, what
    lies between -1 and 0 and grows with the error; of right ones -infinity."""
    if name in answers.confidence:
        sure = answers.confidence[name].astype("float64")
    else:
        sure = -1 / (1 + np.abs(answers.errors[name]))
    # Of what is no number at all, 0.
    return np.where(answers.right[name], -np.inf, np.nan_to_num(sure))
