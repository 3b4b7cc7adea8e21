"""Scoring a model on every (image, number) pair of a test set."""

import logging
import os
from collections.abc import Callable
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from keras_mnist_sum.data.examples import as_examples
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.predictions_file import save_predictions
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.evaluation.scores import Scores
from keras_mnist_sum.formats.any_model import AnyModel
from keras_mnist_sum.formats.any_model import as_opened
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import Predict
from keras_mnist_sum.formats.model_file import image_input
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.models.build import learned_tables
from keras_mnist_sum.models.cut import AllNumbers
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.arguments import as_integer
from keras_mnist_sum.utils.arguments import as_path
from keras_mnist_sum.utils.atomic_files import check_file
from keras_mnist_sum.utils.console import counting
from keras_mnist_sum.utils.full_float32 import full_float32

_logger = logging.getLogger(__name__)

# From float32 images `(batch, 28, 28, 1)` in 0-1 to predictions of each output
# with each number 0-9: `(batch, 10, classes)` of probabilities, or
# `(batch, 10, 1)` of values.
PairPredictor = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def evaluate(
    model: AnyModel,
    data: Mnist | tuple[Any, ...] | str | os.PathLike = "auto",
    *,
    predictions: str | os.PathLike | None = None,
) -> Scores:
    """Scores a model on every test image with every number 0-9.

    Args:
        model: A model as `build_model` makes it, which stays as it is, or what
            `open_model` takes or gives.
        data: The test images and their digits, as `data.examples.as_examples`
            takes them, alone or as the last two of the four arrays that `train`
            takes; or a whole `Mnist`, or where `load_mnist` finds one.
        predictions: A file to write what is predicted for each pair to, as
            `evaluation.predictions_file` has it.

    Returns:
        The counts, of all pairs.

    Raises:
        InputError: If the model or the data cannot be used, or the file cannot
            be written.

    Example:

    >>> scores = evaluate("runs/residual-1", "sample")
    >>> scores.accuracy()["sum"]
    0.9912
    """
    place = None
    if predictions is not None:
        place = as_path(predictions, "`predictions` must be the path of a file")
        check_file(place)
    opened = as_opened(model)
    if isinstance(data, str | os.PathLike):
        data = load_mnist(data, test_only=True)
        if data.warning:
            _logger.warning(data.warning)
    if isinstance(data, Mnist):
        data = data.test_images, data.test_labels
    if not isinstance(data, tuple | list) or len(data) not in (2, 4):
        parts = f" of {len(data)}" if isinstance(data, tuple | list) else ""
        raise InputError(
            "`data` must be a tuple of test images and their digits, an `Mnist`"
            f" or the name of a source. Received: {type(data).__name__}{parts}"
        )
    found = predict_all_pairs(opened, *data[-2:])
    if place:
        save_predictions(place, found)
    return found.scores


def predict_all_pairs(
    model: AnyModel,
    images: Any,
    digits: Any,
    batch_size: int = 500,
) -> Predictions:
    """Predicts every image with every number 0-9; none is dropped or sampled.

    Args:
        model: As for `evaluate`.
        images: As for `as_examples`.
        digits: Their labels, as for `as_examples`.
        batch_size: Images in one call of the model.

    Returns:
        The predictions: about 200 bytes a pair.

    Raises:
        InputError: If the arrays are not MNIST-like, or a prediction is not a
            finite number.
    """
    batch_size = as_integer(batch_size, "batch_size", 1)
    opened = as_opened(model)
    images, digits = as_examples(images, digits)
    if opened.keras_model is not None:
        predict = pair_predictor_of_model(opened.keras_model)
    elif opened.all_numbers is not None:
        predict = _of_signature(opened.all_numbers, opened)
    else:
        predict = pair_predictor(opened.predict)
    batches = []
    with counting("scoring", len(images)) as done:
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            with full_float32():
                batches.append(predict(image_input(batch)))
            done(start + len(batch))
    outputs = {
        name: np.concatenate([batch[name] for batch in batches])
        for name in opened.task
    }
    for name, values in outputs.items():
        finite = np.isfinite(values).all(axis=-1)
        if not finite.all():
            raise InputError(
                "A model's predictions must be finite numbers. Received: "
                f"others for {name} in {(~finite).sum():,} of "
                f"{finite.size:,} pairs"
            )
    return Predictions(images, digits, opened.task, outputs)


def pair_predictor(predict: Predict) -> PairPredictor:
    """Makes a `PairPredictor` of any model.

    Each image is sent with each of the ten numbers, so this works on every
    model and costs ten times what the image's part of it needs.

    Args:
        predict: Takes `image` and `number`, gives the outputs, by name. It is
            called from several threads at once.
    """

    def predict_pairs(images: np.ndarray) -> dict[str, np.ndarray]:
        def with_number(one_hot: np.ndarray) -> Mapping[str, np.ndarray]:
            numbers = np.tile(one_hot, (len(images), 1))
            return predict({"image": images, "number": numbers})

        # Side by side: one call alone keeps no two cores busy.
        with ThreadPoolExecutor(max_workers=4) as pool:
            one_hots = np.eye(NUM_DIGITS, dtype="float32")
            predictions = list(pool.map(with_number, one_hots))
        return {
            name: np.stack([each[name] for each in predictions], axis=1)
            for name in predictions[0]
        }

    return predict_pairs


def _of_signature(
    all_numbers: PairPredictor, opened: OpenedModel
) -> PairPredictor:
    """`all_numbers` of a file, held to what the model itself predicts of the
    first pairs of each batch."""

    def predict_pairs(images: np.ndarray) -> dict[str, np.ndarray]:
        predictions = all_numbers(images)
        rows = np.arange(min(len(images), 2 * NUM_DIGITS))
        numbers = rows % NUM_DIGITS
        one_hot = np.eye(NUM_DIGITS, dtype="float32")[numbers]
        expected = opened.predict({"image": images[rows], "number": one_hot})
        for name, array in expected.items():
            found = np.asarray(predictions.get(name, np.nan))
            fits = found.shape == (len(images), NUM_DIGITS, array.shape[-1])
            if not fits or not np.allclose(
                found[rows, numbers], array, 1e-5, 1e-5, equal_nan=True
            ):
                raise InputError(
                    "A file's signature `all_numbers` must give what the model "
                    f"gives. Received: {str(opened.path)!r}, with another "
                    f"{name}"
                )
        return {name: predictions[name] for name in expected}

    return predict_pairs


def pair_predictor_of_model(model: keras.Model) -> PairPredictor:
    """Makes a `PairPredictor` of a functional model, computing what depends on
    the image alone once for the ten numbers.

    A copy of the model is cut where the number first meets tensors of the
    image; the predictions are those of the whole model. One that cannot be cut
    so (it shares a layer between both sides, say), or cannot be copied,
    predicts pair by pair.
    """
    try:
        model = copy_model(model)
    except InputError:  # A layer cannot be copied.
        return pair_predictor(model.predict_on_batch)
    try:
        return AllNumbers(model).predict_on_batch
    except ValueError:
        return pair_predictor(model.predict_on_batch)


def table_cells_correct(model: keras.Model, task: Task) -> dict[str, int]:
    """How many of the 100 cells of each learned table are right.

    Args:
        model: A model; heads without a learned table are passed over.
        task: What it was trained for.

    Returns:
        For each output with a learned table, the number of (digit, number)
        pairs whose most likely class is the right one.
    """
    return {
        name: int((table.argmax(axis=-1) == task[name].table).sum())
        for name, table in learned_tables(model).items()
    }
