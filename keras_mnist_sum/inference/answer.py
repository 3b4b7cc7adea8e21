"""What a model says of one picture and one number."""

from dataclasses import dataclass

import numpy as np

from keras_mnist_sum.task import Task


@dataclass(frozen=True, eq=False, repr=False)
class Answer:
    """What a model says of one picture and one number.

    The value of each output is an attribute, too, unless it is called as one
    of those below: `answer.digit`, `answer.sum`. `print(answer)` shows one line
    for each output.

    Example:

    >>> answer = Predictor.load()("seven.png", 3)
    >>> print(answer)
    digit 7 (100.0 %)
    7 + 3 = 10 (100.0 %)
    |7 - 3| = 4 (100.0 %)
    >>> answer
    Answer(number=3, digit=7, sum=10, difference=4, agree=True)
    >>> answer.probabilities["sum"] > 0.99
    True

    Attributes:
        number: The number.
        task: The model's outputs.
        values: The most likely value of each output, by name.
        probabilities: Those of the values, 0-1, by name. An output that a
            regression gives as a value has none.
        agree: Whether all values are right for the digit that was read.
        image: What the model saw: uint8 array of shape `(28, 28)`.
        predictions: What the model gave, by name: float array of shape
            `(classes,)`, a probability for each of `task[name].values`, or
            `(1,)`, a value.
    """

    number: int
    task: Task
    values: dict[str, int]
    probabilities: dict[str, float]
    agree: bool
    image: np.ndarray
    predictions: dict[str, np.ndarray]

    def __getattr__(self, name: str) -> int:
        # Unpickling asks for attributes before there are any.
        values = vars(self).get("values", {})
        if name in values:
            return values[name]
        raise AttributeError(
            f"An answer has no {name!r}; its outputs are {', '.join(values)}"
        )

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.values})

    def __repr__(self) -> str:
        values = {"number": self.number, **self.values, "agree": self.agree}
        words = [f"{name}={value}" for name, value in values.items()]
        return f"Answer({', '.join(words)})"

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> list[str]:
        """The value of each output, as in `7 + 3 = 10 (99.8 %)`.

        If they contradict each other, a last sentence says so.
        """
        sentences = []
        for name, output in self.task.items():
            question = output.question(self.digit, self.number)
            equals = "" if name == "digit" else "= "
            # A minus sign from the keyboard can be searched for.
            text = f"{question.replace('−', '-')} {equals}{self.values[name]}"
            if name in self.probabilities:
                text += f" ({100 * self.probabilities[name]:.1f} %)"
            sentences.append(text)
        return sentences if self.agree else [*sentences, "contradictory"]
