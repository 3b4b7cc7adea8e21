"""Asking a model about every (image, number) pair of a test set."""

import json
from collections.abc import Callable
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from keras_mnist_sum import task
from keras_mnist_sum.data.sources import check_examples
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.scores import Answers
from keras_mnist_sum.models.build import learned_tables

# What evaluation asks of a model: from float32 images `(batch, 28, 28, 1)` in
# 0-1 to predictions of each output with each number 0-9, `(batch, 10, classes)`
# of probabilities or `(batch, 10, 1)` of values.
Answerer = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def ask(
    answerer: Answerer,
    images: np.ndarray,
    labels: np.ndarray,
    difference: str = "absolute",
    batch_size: int = 500,
) -> Answers:
    """Asks a model about every image with every number 0-9; none is dropped
    or sampled.

    Args:
        answerer: The model, through `answerer_of_model` or
            `answerer_of_pairs`.
        images: uint8 array of shape `(examples, 28, 28)`.
        labels: Integer array of shape `(examples,)`.
        difference: Which difference the model computes.
        batch_size: Images in one call of `answerer`.

    Returns:
        Its answers: about 200 bytes a pair.

    Raises:
        InputError: If the arrays are not MNIST-like, or an answer is infinite
            or no number.
    """
    check_examples(images, labels)
    batches = [
        answerer(
            images[start : start + batch_size, ..., np.newaxis]
            / np.float32(255)
        )
        for start in range(0, len(images), batch_size)
    ]
    predictions = {
        name: np.concatenate([batch[name] for batch in batches])
        for name in task.outputs(difference)
    }
    for name, values in predictions.items():
        finite = np.isfinite(values).all(axis=-1)
        if not finite.all():
            raise InputError(
                "A model's answers must be finite numbers. Received: others "
                f"for {name} in {(~finite).sum():,} of {finite.size:,} pairs"
            )
    return Answers(images, labels, difference, predictions)


def answerer_of_pairs(
    predict: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]],
) -> Answerer:
    """Makes an `Answerer` of anything that keeps the model's contract.

    Each image is sent with each of the ten numbers, so this works on every
    model and costs ten times what the image's part of it needs.

    Args:
        predict: Takes `image` and `number`, gives the outputs, by name. It is
            called from several threads at once.
    """

    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        def ask(one_hot: np.ndarray) -> Mapping[str, np.ndarray]:
            numbers = np.tile(one_hot, (len(images), 1))
            return predict({"image": images, "number": numbers})

        # Side by side: one call alone keeps no two cores busy.
        with ThreadPoolExecutor(max_workers=4) as pool:
            one_hots = np.eye(task.NUM_DIGITS, dtype="float32")
            answers = list(pool.map(ask, one_hots))
        return {
            name: np.stack([each[name] for each in answers], axis=1)
            for name in answers[0]
        }

    return answer


def answerer_of_model(model: keras.Model) -> Answerer:
    """Makes an `Answerer` of a functional model, computing what depends on
    the image alone once for the ten numbers.

    The model is cut where the number first meets tensors of the image; the
    answers are those of the whole model. One that cannot be cut so (it shares
    a layer between both sides, say) is asked pair by pair.
    """
    try:
        trunk, head = _cut(model)
    except ValueError:  # Keras checks that both parts are whole graphs.
        return answerer_of_pairs(model.predict_on_batch)
    one_hot = np.eye(task.NUM_DIGITS, dtype="float32")

    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        count, repeats = len(images), task.NUM_DIGITS
        first = trunk.predict_on_batch(images)
        rows = [np.repeat(x, repeats, axis=0) for x in first["cut"]]
        second = head.predict_on_batch([*rows, np.tile(one_hot, (count, 1))])
        return {
            **{
                name: np.repeat(x[:, np.newaxis], repeats, axis=1)
                for name, x in first["outputs"].items()
            },
            **{
                name: np.reshape(x, (count, repeats, -1))
                for name, x in second.items()
            },
        }

    return answer


def _cut(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The part of `model` before the number comes in, and the part after."""
    number = model.input["number"]
    depends, cut = {id(number)}, {}
    for operation in model.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        inputs = keras.tree.flatten(operation.input)
        if any(id(x) in depends for x in inputs):
            depends.update(id(x) for x in keras.tree.flatten(operation.output))
            cut.update({id(x): x for x in inputs if id(x) not in depends})
    of_image = {
        name: x for name, x in model.output.items() if id(x) not in depends
    }
    of_both = {name: x for name, x in model.output.items() if id(x) in depends}
    trunk = keras.Model(
        model.input["image"], {"cut": list(cut.values()), "outputs": of_image}
    )
    return trunk, keras.Model([*cut.values(), number], of_both)


def table_cells_right(model: keras.Model, difference: str) -> dict[str, int]:
    """How many of the 100 cells of each learned table are right.

    Args:
        model: A model; heads without a learned table are passed over.
        difference: Which difference it was trained for.

    Returns:
        For each output with a learned table, the number of (digit, number)
        pairs whose most likely class is the true one.
    """
    outputs = task.outputs(difference)
    return {
        name: int((table.argmax(axis=-1) == outputs[name].table).sum())
        for name, table in learned_tables(model).items()
    }


def to_json(report: dict) -> str:
    return json.dumps(report, indent=2) + "\n"
