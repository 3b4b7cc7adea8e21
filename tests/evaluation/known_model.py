"""A model whose predictions are known, so that every count of them is, too."""

from pathlib import Path

import numpy as np

from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.task import Task

DEFAULT = Task.named()


def known_outputs(digits, change=None, task=DEFAULT):
    """What a perfect model gives, but where `change` says otherwise.

    Args:
        digits: Images and labels.
        change: Takes the name of each output and its classes, an integer
            array of shape `(images, 10)` that it may change.
        task: What the model computes.

    Returns:
        By output, one-hot arrays of shape `(images, 10, classes)`.
    """
    outputs = {}
    for name, output in task.items():
        classes = output.table[digits[1]]
        if change:
            change(name, classes)
        outputs[name] = np.eye(output.num_classes)[classes]
    return outputs


def right_tables(task):
    """Tables as a model has them that learned them all."""
    return {
        name: np.eye(output.num_classes)[output.table]
        for name, output in task.items()
        if name != "digit"
    }


def always_reads(digit, task=DEFAULT):
    """What a perfect model computes that sees but one digit."""

    def predict(arrays):
        number = arrays["number"].argmax(axis=1)
        return {
            name: np.eye(output.num_classes)[output.table[digit, number]]
            for name, output in task.items()
        }

    return predict


def known_model(digits, outputs, task=DEFAULT):
    """A model that gives `outputs` for the images of `digits`."""
    places = {image.tobytes(): i for i, image in enumerate(digits[0])}

    def predict(arrays):
        pixels = np.rint(arrays["image"][..., 0] * 255).astype("uint8")
        place = [places[image.tobytes()] for image in pixels]
        number = arrays["number"].argmax(axis=1)
        return {name: x[place, number] for name, x in outputs.items()}

    return OpenedModel(Path("none"), predict, task)


def known_predictions(digits, change=None, task=DEFAULT):
    """The predictions of a perfect model, but where `change` says otherwise."""
    return Predictions(*digits, task, known_outputs(digits, change, task))
