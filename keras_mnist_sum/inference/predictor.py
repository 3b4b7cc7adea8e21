"""`Predictor`: any picture and an integer -> digit, sum and difference."""

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import overload

import numpy as np

from keras_mnist_sum import task
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import contract
from keras_mnist_sum.formats import runtimes
from keras_mnist_sum.formats.contract import Predict
from keras_mnist_sum.formats.pretrained import load_pretrained_onnx
from keras_mnist_sum.inference.pictures import Picture
from keras_mnist_sum.inference.pictures import to_mnist

_BATCH = 500


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says of one picture and one number.

    Attributes:
        number: The number.
        digit: The most likely digit, 0-9.
        sum: The most likely sum of both, 0-18.
        difference: Their most likely difference.
        probabilities: Of the three, 0-1, by name; nothing for what a
            regression gives as a value.
        image: What the model saw: uint8 array of shape `(28, 28)`.
        predictions: What the model gave, by name: float32 array of shape
            `(classes,)`, a probability for each value that `task.outputs` has
            for the model's difference, or `(1,)`, a value.
        agree: Whether sum and difference are those of digit and number.
    """

    number: int
    digit: int
    sum: int
    difference: int
    probabilities: dict[str, float]
    agree: bool
    image: np.ndarray
    predictions: dict[str, np.ndarray]


class Predictor:
    """Answers for pictures of any kind.

    >>> predictor = Predictor.load()
    >>> image = np.zeros((28, 28), "uint8")
    >>> image[4:24, 13:15] = 255  # a one
    >>> answer = predictor(image, 3)
    >>> answer.digit, answer.sum, answer.difference
    (1, 4, 2)

    Args:
        predict: The model: a function from `image`, float32
            `(batch, 28, 28, 1)`, and `number`, float32 one-hot `(batch, 10)`,
            to the outputs by name.
        difference: Which difference it computes, `"absolute"` or `"signed"`.
    """

    def __init__(self, predict: Predict, difference: str = "absolute") -> None:
        self._predict = predict
        self._outputs = task.outputs(difference)
        self.difference = difference

    @classmethod
    def load(cls, target: str | Path | None = None) -> "Predictor":
        """Loads a model.

        Args:
            target: A run directory, a `.keras`, `.onnx` or `.tflite` file, or
                a SavedModel directory; `None` means the model that comes with
                the package. That one and ONNX and LiteRT files are ready in a
                moment, without TensorFlow.

        Raises:
            InputError: If it is none of these.
        """
        if target is None:
            predict, differences = load_pretrained_onnx()
            return cls(predict, *differences)
        path = Path(target)
        load = runtimes.loader(path)
        if load:
            predict, differences = load(path)
            if len(differences) == 1:
                return cls(predict, *differences)
        from keras_mnist_sum.utils.quiet import import_tensorflow

        import_tensorflow()
        from keras_mnist_sum.formats.open import open_target

        opened = open_target(path)
        return cls(opened.predict, opened.difference)

    @overload
    def __call__(self, images: Picture, numbers: int) -> Answer: ...

    @overload
    def __call__(
        self, images: Iterable[Picture], numbers: Iterable[int]
    ) -> list[Answer]: ...

    def __call__(self, images, numbers):
        """Answers for one picture and one number, or for many of both.

        Args:
            images: Anything that `pictures.to_mnist` takes, or as many of them
                as there are numbers: a list, or an array whose first axis
                counts them.
            numbers: An integer from 0 to 9, or a list or array of them.

        Returns:
            An `Answer`, or a list of them in the same order.

        Raises:
            InputError: If a picture or a number is none, they are not equally
                many, or the model gives what is no finite number. Nothing is
                answered then.
        """
        if isinstance(numbers, np.ndarray) and numbers.ndim == 0:
            numbers = numbers.item()
        one = not _are_many(numbers, 1)
        numbers = [numbers] if one else list(numbers)
        # An array of three axes may be one picture in colour.
        many = _are_many(images, 4 if one else 3)
        images = list(images) if many else [images]
        if (one and many) or len(images) != len(numbers):
            raise InputError(
                "There must be as many images as numbers, or one of each. "
                f"Received: {len(images)} images and {len(numbers)} numbers"
            )
        number = np.array(_each(check_number, numbers))
        seen = _each(to_mnist, images)
        answers: list[Answer] = []
        for start in range(0, len(seen), _BATCH):
            part = slice(start, start + _BATCH)
            answers += self.answers(np.stack(seen[part]), number[part])
        return answers[0] if one else answers

    def answers(self, seen: np.ndarray, number: np.ndarray) -> list[Answer]:
        """Answers for images that are prepared already, as MNIST's are.

        Args:
            seen: uint8 array of shape `(batch, 28, 28)`, white ink on black.
            number: Integer array of shape `(batch,)`, 0-9.

        Raises:
            InputError: If the model gives what is no finite number.
        """
        predictions = self._predict(contract.model_inputs(seen, number))
        for name, prediction in predictions.items():
            if not np.isfinite(prediction).all():
                raise InputError(
                    "A model must give finite values. "
                    f"Received: {prediction.ravel()[:3]}... as {name}"
                )
        values = {
            name: output.answers(predictions[name])
            for name, output in self._outputs.items()
        }
        agree = np.ones(len(number), bool)
        for name, output in self._outputs.items():
            agree &= values[name] == output.truth[values["digit"], number]
        return [
            Answer(
                number=int(number[i]),
                digit=int(values["digit"][i]),
                sum=int(values["sum"][i]),
                difference=int(values["difference"][i]),
                probabilities={
                    name: float(prediction[i].max())
                    for name, prediction in predictions.items()
                    if prediction.shape[-1] > 1
                },
                agree=bool(agree[i]),
                image=seen[i],
                predictions={name: x[i] for name, x in predictions.items()},
            )
            for i in range(len(number))
        ]


def _are_many(x: object, axes: int) -> bool:
    """Whether `x` is a collection; an array is one from `axes` axes on."""
    if isinstance(x, np.ndarray):
        return x.ndim >= axes
    return isinstance(x, Iterable) and not isinstance(x, (str, bytes))


def _each(prepare: Callable, items: list) -> list:
    """`prepare` of each item; an error says of which, if there are several."""
    prepared = []
    for index, item in enumerate(items):
        try:
            prepared.append(prepare(item))
        except InputError as error:
            if len(items) == 1:
                raise
            raise InputError(f"{error}, at index {index}") from error
    return prepared


def check_number(number: object) -> int:
    """Returns `number` as an int.

    Raises:
        InputError: If it is not an integer from 0 to 9.
    """
    if (
        not isinstance(number, Integral)
        or isinstance(number, bool)
        or int(number) not in range(task.NUM_DIGITS)
    ):
        raise InputError(
            f"`number` must be an integer from 0 to {task.NUM_DIGITS - 1}. "
            f"Received: {number!r}"
        )
    return int(number)
