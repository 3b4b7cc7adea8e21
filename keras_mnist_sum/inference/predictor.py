"""`Predictor`: any picture and a number -> all outputs of a model."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any
from typing import overload

import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import Predict
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.formats.open import check_difference
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.inference.answer import Answer
from keras_mnist_sum.inference.pictures import Picture
from keras_mnist_sum.inference.pictures import to_mnist
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task

_BATCH = 500


class Predictor:
    """Answers for pictures of any kind.

    One that was loaded from a file pickles as the path of that file.

    >>> predictor = Predictor.load()
    >>> image = np.zeros((28, 28), "uint8")
    >>> image[4:24, 13:15] = 255  # a one
    >>> answer = predictor(image, 3)
    >>> answer.digit, answer.sum, answer.difference
    (1, 4, 2)

    Args:
        model: An opened model, or a function from `image`, float32
            `(batch, 28, 28, 1)`, and `number`, float32 one-hot `(batch, 10)`,
            to the outputs by name.
        task: What the function's outputs are. Default: digit, sum and absolute
            difference. An opened model has its own.

    Raises:
        InputError: If `task` is another than the opened model's.

    Attributes:
        task: What the model's outputs are.
    """

    task: Task

    def __init__(
        self, model: OpenedModel | Predict, task: Task | None = None
    ) -> None:
        self._file: Path | None = None
        if not isinstance(model, OpenedModel):
            self._predict = model
            self.task = task or Task.named()
            return
        self._file = model.path.absolute()
        self._predict = model.predict
        self.task = model.task
        if task not in (None, model.task):
            raise InputError(
                "`task` must be the opened model's own. "
                f"Received: {task} for a model of {model.task}"
            )

    @classmethod
    def load(
        cls, target: str | Path | None = None, difference: str | None = None
    ) -> "Predictor":
        """Loads a model.

        Args:
            target: A run directory, a `.keras`, `.onnx` or `.tflite` file, or
                a SavedModel directory; `None` means the model that comes with
                the package. That one and ONNX and LiteRT files are ready in a
                moment, without TensorFlow.
            difference: `"absolute"` or `"signed"`, for a file that does not
                say what its outputs are. Default: the former.

        Raises:
            InputError: If it is none of these, or says itself that its
                difference is another.
        """
        if target is None:
            opened = pretrained.open_pretrained()
            check_difference(opened, difference)
        else:
            opened = open_model(target, difference)
        return cls(opened)

    def __reduce__(self) -> tuple[Callable, tuple]:
        if self._file is None:
            return type(self), (self._predict, self.task)
        ours = self._file.parent == pretrained.FOLDER
        # The file may not say so itself.
        signed = self.task == Task.named(difference="signed")
        return type(self).load, (
            None if ours else self._file,
            "signed" if signed else None,
        )

    @overload
    def __call__(self, images: Picture, numbers: int) -> Answer: ...

    @overload
    def __call__(
        self, images: Iterable[Picture], numbers: Iterable[int]
    ) -> list[Answer]: ...

    def __call__(self, images: Any, numbers: Any) -> Answer | list[Answer]:
        """Answers for one picture and one number, or for many of both.

        Args:
            images: Anything that `pictures.to_mnist` takes, or as many of them
                as there are numbers: a list, or an array whose first axis
                counts them.
            numbers: An integer from 0 to 9, or a list or array of them.

        Returns:
            An `Answer`, or a list of them in the same order.

        Raises:
            InputError: If a picture or a number cannot be used, there are not
                as many of the one as of the other, or the model gives what
                does not fit its task. Nothing is answered then.
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

    def answers(self, images: np.ndarray, numbers: np.ndarray) -> list[Answer]:
        """Answers for images that are prepared already, as MNIST's are.

        Args:
            images: uint8 array of shape `(batch, 28, 28)`, white ink on black.
            numbers: Integer array of shape `(batch,)`, 0-9.

        Raises:
            InputError: If the model gives what does not fit its task.
        """
        given = self._predict(model_inputs(images, numbers))
        predictions = {name: np.asarray(array) for name, array in given.items()}
        self._check(predictions, len(numbers))
        values = {
            name: output.decode(predictions[name])
            for name, output in self.task.items()
        }
        agree = np.ones(len(numbers), bool)
        for name, output in self.task.items():
            agree &= (
                values[name] == output.pair_values[values["digit"], numbers]
            )
        return [
            Answer(
                number=int(numbers[i]),
                task=self.task,
                values={name: int(values[name][i]) for name in self.task},
                probabilities={
                    name: float(predictions[name][i].max())
                    for name in self.task
                    if predictions[name].shape[-1] > 1
                },
                agree=bool(agree[i]),
                image=images[i],
                predictions={name: predictions[name][i] for name in self.task},
            )
            for i in range(len(numbers))
        ]

    def _check(self, predictions: dict[str, np.ndarray], count: int) -> None:
        """Refuses what does not fit the task, or is not finite."""
        shapes = {name: array.shape for name, array in predictions.items()}
        expected = {
            name: (count, output.num_classes)
            for name, output in self.task.items()
        }
        if set(shapes) != set(expected) or any(
            shapes[name] not in [shape, (count, 1)]
            for name, shape in expected.items()
        ):
            raise InputError(
                f"A model of this task must give {expected}, or values of "
                f"shape {(count, 1)}. Received: {shapes}"
            )
        for name, array in predictions.items():
            if not np.isfinite(array).all():
                raise InputError(
                    "A model must give finite values. "
                    f"Received: {array.ravel()[:3]}... as {name}"
                )


def _are_many(x: object, axes: int) -> bool:
    """Whether `x` is a collection; an array is one from `axes` axes on."""
    if isinstance(x, np.ndarray):
        return x.ndim >= axes
    return isinstance(x, Iterable) and not isinstance(x, str | bytes)


def _each(prepare: Callable[[Any], Any], items: Sequence) -> list:
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
        or int(number) not in range(NUM_DIGITS)
    ):
        raise InputError(
            f"`number` must be an integer from 0 to {NUM_DIGITS - 1}. "
            f"Received: {number!r}"
        )
    return int(number)
