"""The contract that every model keeps, whatever file it comes from.

Knows no TensorFlow.
"""

from collections.abc import Callable

import numpy as np

from keras_mnist_sum import task
from keras_mnist_sum.errors import InputError

INPUT_SHAPES = {
    "image": (task.IMAGE_SIZE, task.IMAGE_SIZE, 1),
    "number": (task.NUM_DIGITS,),
}

_ONE_HOT = np.eye(task.NUM_DIGITS, dtype="float32")

# From `image` and `number` to `digit`, `sum` and `difference`, by name.
Predict = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def model_inputs(
    images: np.ndarray, numbers: np.ndarray
) -> dict[str, np.ndarray]:
    """What a model takes, by name.

    Args:
        images: uint8 array of shape `(batch, 28, 28)`, 0-255.
        numbers: Integer array of shape `(batch,)`, 0-9.

    Returns:
        `image`, float32 `(batch, 28, 28, 1)` in 0-1, and `number`, float32
        one-hot `(batch, 10)`.
    """
    return {
        "image": images[..., np.newaxis] / np.float32(255),
        "number": _ONE_HOT[numbers],
    }


def check_contract(inputs: dict, outputs: dict, where: str) -> tuple[str, ...]:
    """Checks names, shapes and types of a model's inputs and outputs.

    Args:
        inputs: For each input by name, `(shape, dtype)`: a tuple that starts
            with the batch, `None` if that is free, and a string.
        outputs: The same for each output.
        where: What the model was read from, for the message.

    Returns:
        The differences that the model may compute: `("absolute",)`,
        `("signed",)`, or both if it gives a value, which fits either.

    Raises:
        InputError: If they are not those of `build_model`.
    """
    expected_inputs = {
        name: ((None, *shape), "float32")
        for name, shape in INPUT_SHAPES.items()
    }
    fitting = []
    for difference in task.DIFFERENCES:
        sizes = {
            name: output.num_classes
            for name, output in task.outputs(difference).items()
        }
        for accepted in (sizes, {**sizes, "sum": 1, "difference": 1}):
            expected_outputs = {
                name: ((None, size), "float32")
                for name, size in accepted.items()
            }
            if inputs == expected_inputs and outputs == expected_outputs:
                fitting.append(difference)
    if fitting:
        return tuple(fitting)
    raise InputError(
        "A model must take image (batch, 28, 28, 1) and number (batch, 10) "
        "and give digit (batch, 10), sum (batch, 19) and difference (batch, "
        "10 or 19), the last two (batch, 1) if it is a regression, all "
        "float32, for any batch. "
        f"Received: {where} with inputs {inputs} and outputs {outputs}"
    )


def check_arrays(arrays: dict[str, np.ndarray]) -> None:
    """Refuses arrays that are not the inputs of a model.

    Raises:
        InputError: If their names, shapes or types are others, or they are
            not equally many.
    """
    found = {name: (x.shape[1:], x.dtype.name) for name, x in arrays.items()}
    expected = {name: (x, "float32") for name, x in INPUT_SHAPES.items()}
    if found != expected or len({len(x) for x in arrays.values()}) != 1:
        shapes = {name: (x.shape, x.dtype.name) for name, x in arrays.items()}
        raise InputError(
            "A model takes image (batch, 28, 28, 1) and number (batch, 10), "
            f"both float32. Received: {shapes}"
        )


def checked(
    run: Predict, inputs: dict, outputs: dict, where: str
) -> tuple[Predict, tuple[str, ...]]:
    """Checks a model from a file, by what it declares and by a try.

    Args:
        run: The model.
        inputs: What it declares, as for `check_contract`.
        outputs: The same.
        where: What it was read from.

    Returns:
        `(predict, differences)`: `run`, which now refuses other arrays and
        fails with an `InputError`, and the differences that it may compute.

    Raises:
        InputError: If it does not keep the contract, or cannot be run.
    """
    differences = check_contract(inputs, outputs, where)

    def predict(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        check_arrays(arrays)
        try:
            return run(arrays)
        except Exception as error:
            # What is wrong with a file may first show in some batch.
            raise InputError(
                "This model cannot be run. "
                f"Received: {where!r} ({type(error).__name__})"
            ) from error

    size = task.IMAGE_SIZE
    answers = predict(
        model_inputs(np.zeros((2, size, size), "uint8"), np.array([3, 4]))
    )
    for name, (shape, _) in outputs.items():
        if answers[name].shape != (2, *shape[1:]):
            raise InputError(
                "A model must give what it declares. "
                f"Received: {where!r} with {name} of shape "
                f"{answers[name].shape} instead of {(2, *shape[1:])}"
            )
    return predict, differences
