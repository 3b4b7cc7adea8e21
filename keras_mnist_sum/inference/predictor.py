"""`Predictor`: any picture and a number -> all outputs of a model."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import overload

import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.formats.any_model import IN_MEMORY
from keras_mnist_sum.formats.any_model import AnyModel
from keras_mnist_sum.formats.any_model import as_opened
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import Predict
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.formats.open import PathLike
from keras_mnist_sum.formats.open import check_difference
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.inference.answer import Answer
from keras_mnist_sum.inference.pairs import as_array
from keras_mnist_sum.inference.pairs import as_numbers
from keras_mnist_sum.inference.pairs import as_pairs
from keras_mnist_sum.inference.pairs import check_number
from keras_mnist_sum.inference.pictures import Picture
from keras_mnist_sum.inference.pictures import to_mnist
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import Task

_BATCH = 500


class Predictor:
    """Answers for pictures of any kind.

    One that was loaded from a file pickles as the path of that file, any other
    as what it was made of.

    >>> predictor = Predictor.load()
    >>> image = np.zeros((28, 28), "uint8")
    >>> image[4:24, 13:15] = 255  # a one
    >>> answer = predictor(image, 3)
    >>> answer.digit, answer.sum, answer.difference
    (1, 4, 2)

    Args:
        model: A model: what `load` takes, an opened one or a `keras.Model`. Or
            a function that takes a dict of `image`, float32
            `(batch, 28, 28, 1)`, and `number`, float32 one-hot `(batch, 10)`,
            and returns a dict of the outputs.
        task: What the outputs are, if the model does not say. Default: digit,
            sum and absolute difference.

    Raises:
        InputError: If `model` is none, or `task` is another than its own.

    Attributes:
        task: What the model's outputs are.
    """

    task: Task

    def __init__(
        self, model: AnyModel | Predict, task: Task | None = None
    ) -> None:
        self._source: Any = model  # What pickles: it, or its path.
        if callable(model) and not (
            isinstance(model, type | Predictor)
            or hasattr(model, "predict_on_batch")  # as Keras's models have
        ):
            named = Task.named() if task is None else task
            function: Any = model
            model = OpenedModel(IN_MEMORY, function, named)
        opened = as_opened(model, task)
        self._predict = opened.predict
        self.task = opened.task
        if opened.path != IN_MEMORY:
            self._source = opened.path.absolute()
        elif opened.keras_model is not None:
            self._source = opened.keras_model

    @classmethod
    def load(
        cls,
        target: AnyModel | None = None,
        difference: str | None = None,
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
        if isinstance(target, PathLike):
            return cls(open_model(target, difference))
        if target is None:
            target = pretrained.open_pretrained()
        opened = as_opened(target)
        check_difference(opened, difference)
        return cls(opened)

    def __repr__(self) -> str:
        return f"Predictor({', '.join(self.task)})"

    def __reduce__(self) -> tuple[Callable, tuple]:
        path = self._source if isinstance(self._source, Path) else None
        if path and path.parent == pretrained.FOLDER:
            return type(self).load, ()
        # The file may not say so itself.
        usual = self.task.to_dict() == Task.named().to_dict()
        task = None if usual else self.task
        return type(self), (self._source, task)

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
                counts them. `pairs.as_pairs` says which arrays.
            numbers: An integer from 0 to 9, or a list or array of them.

        Returns:
            An `Answer`, or a list of them in the same order.

        Raises:
            InputError: If a picture or a number cannot be used, there are not
                as many of the one as of the other, or the model gives what
                does not fit its task. Nothing is answered then.
        """
        images, numbers, one = as_pairs(images, numbers)
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
            numbers: Integer array of shape `(batch,)`, 0-9, or one for all.

        Raises:
            InputError: If the arrays are others, or the model gives what does
                not fit its task.
        """
        images = as_array(images)
        each, one = as_numbers(numbers)
        if one and images.ndim:
            each *= len(images)
        shape = (len(each), *IMAGE_SHAPE[:2])
        if not images.size and not each:
            return []
        if images.shape != shape or images.dtype != np.uint8:
            raise InputError(
                f"For {len(each)} numbers, images must be uint8 of shape "
                f"{shape}. Received: {images.dtype} of shape {images.shape}"
            )
        numbers = np.array(_each(check_number, each))
        given = self._predict(model_inputs(images, numbers))
        predictions = self._checked(given, len(numbers))
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

    def _checked(self, given: Any, count: int) -> dict[str, np.ndarray]:
        """What a model gave, if it fits the task and is finite."""
        if not isinstance(given, Mapping):
            raise InputError(
                "A model must give a dict of arrays, one for each of "
                f"{', '.join(self.task)}. Received: {shown(given)}"
            )
        predictions = {name: as_array(array) for name, array in given.items()}
        shapes = {name: array.shape for name, array in predictions.items()}
        expected = {
            name: (count, output.num_classes)
            for name, output in self.task.items()
        }
        if set(shapes) != set(expected) or any(
            shapes[name] != shape
            and (name == "digit" or shapes[name] != (count, 1))
            for name, shape in expected.items()
        ):
            raise InputError(
                f"A model of this task must give {expected}, or, but for the "
                f"digit, values of shape {(count, 1)}. "
                f"Received: {shown(shapes, 200)}"
            )
        for name, array in predictions.items():
            numbers = array.dtype.kind in "biuf"
            if not numbers or not np.isfinite(array).all():
                raise InputError(
                    "A model must give finite values. "
                    f"Received: {shown(array.ravel()[:3].tolist())}, ... as "
                    f"{name}"
                )
        return predictions


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
