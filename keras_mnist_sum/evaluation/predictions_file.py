"""A model's predictions for every pair, as a file that NumPy reads.

An `.npz` file. Row i of an array is test image i; where there is a second axis
of ten, it is the number 0-9:

| array | dtype, shape | |
|---|---|---|
| `image` | int32 (images,) | the index of the image in the test set |
| `number` | int32 (10,) | 0 to 9 |
| `OUTPUT_labels` | int64 (images, 10) | the integer that is right |
| `OUTPUT_classes` | int64 (classes,) | the integer that each class stands for |
| `OUTPUT_probabilities` | float32 (images, 10, classes) | of each class |
| `OUTPUT_values` | float32 (images, 10) | of an output that is a value |

A value is predicted as the integer next to it, and probabilities as the class
of the largest. The digit is that of the image alone: its arrays have no axis of
numbers. Only where a foreign model lets the number change the digit, its
predictions have one.
"""

from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.utils.atomic_files import atomic_write


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Writes the file, whole or not at all.

    Args:
        path: The file, of any name.
        predictions: What to write.

    Raises:
        InputError: If the system refuses.
    """
    arrays: dict[str, Any] = {
        "image": np.arange(len(predictions.images), dtype="int32"),
        "number": np.arange(NUM_DIGITS, dtype="int32"),
    }
    for name, output in predictions.task.items():
        found = predictions.outputs[name].astype("float32")
        labels = predictions.labels[name].astype("int64")
        if name == "digit":
            labels = labels[:, 0]
            if (found == found[:, :1]).all():
                found = found[:, 0]
        arrays[f"{name}_labels"] = labels
        if found.shape[-1] == 1:
            arrays[f"{name}_values"] = found[..., 0]
        else:
            arrays[f"{name}_classes"] = np.array(output.values, "int64")
            arrays[f"{name}_probabilities"] = found
    with atomic_write(path) as aside, open(aside, "wb") as file:
        np.savez_compressed(file, **arrays)
