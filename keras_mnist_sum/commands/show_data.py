"""The command `show-data`: a batch as the model gets it, before training."""

from pathlib import Path

import numpy as np

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.sources import Mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.utils import atomic_files


def check_step(config: Config, step: int) -> None:
    """Checks that a run with `config` has a step `step`.

    Raises:
        InputError: If it has not.
    """
    if not 0 <= step < config.steps:
        raise InputError(
            f"`step` must be one of the run, 0 to {config.steps - 1}. "
            f"Received: step={step}"
        )


def batch_of(
    mnist: Mnist, config: Config, step: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The batch that a run with `config` trains on in its step `step`.

    Args:
        mnist: The data.
        config: The run's.
        step: From 0 to `config.steps - 1`.

    Returns:
        `(inputs, targets)`, as `pipeline.training_dataset` yields them.

    Raises:
        InputError: If the run has no such step, or a batch needs more images
            than there are.
    """
    check_step(config, step)
    images, labels, *_ = mnist.hold_out(config.validation_fraction)
    batches = pipeline.training_dataset(images, labels, config, step)
    return next(batches.take(1).as_numpy_iterator())


def show_data(mnist: Mnist, config: Config, step: int, path: Path) -> str:
    """Draws images of a batch, with what goes in and what is to come out.

    Args:
        mnist: The data.
        config: The run.
        step: The batch of which step.
        path: The PNG file to write.

    Returns:
        What was written, in a line.

    Raises:
        InputError: As `batch_of`, or if the file cannot be written.
    """
    inputs, targets = batch_of(mnist, config, step)
    values = {}
    for name, output in task.outputs(config.difference).items():
        target = targets[name]
        values[name] = (
            np.array(output.values)[target]
            if target.ndim == 1
            else target[:, 0].astype(int)
        )  # (batch,)
    shown = min(image_grids.MOST, len(inputs["image"]))
    what = (
        f"{shown} of {config.batch_size} examples of batch {step:,} of "
        f"{config.steps:,}: preset {config.preset}, seed {config.seed}, "
        f"{mnist.description}"
    )
    figure = image_grids.batch(
        inputs["image"], inputs["number"].argmax(axis=1), values, what
    )
    with atomic_files.written_aside(path) as aside:
        figure.savefig(aside, format="png", dpi=150)
    return f"written  {path}: {what}"
