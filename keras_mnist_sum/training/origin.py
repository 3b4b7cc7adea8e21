"""What a run began with: its data and its metrics."""

import contextlib
import hashlib
import os

import numpy as np

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.training.checkpoints import Checkpoint


def data_digests(mnist: Mnist, config: Config) -> dict[str, str]:
    """The SHA-256 of the `training` set, as it is split, and the `test` set."""
    images, labels = mnist.test_images, mnist.test_labels
    test = hashlib.sha256(np.ascontiguousarray(images).data)
    test.update(np.ascontiguousarray(labels).data)
    return {
        "training": mnist.split(config.validation_fraction).digest(),
        "test": test.hexdigest(),
    }


def check_checkpoint(checkpoint: Checkpoint, notes: dict, run: Run) -> None:
    """Refuses to go on with other data, or with other metrics.

    Args:
        checkpoint: The run's newest.
        notes: What it would note of them now.
        run: The run.

    Raises:
        InputError: If they differ.
    """
    if checkpoint.notes.get("data") != notes["data"]:
        raise InputError(
            "The training images or labels are not those that this run "
            f"began with. Received: {str(run.path)!r}"
        )
    before = checkpoint.notes.get("metrics", notes["metrics"])
    if before != notes["metrics"]:
        raise InputError(
            "`metrics` must be those that this run began with: "
            f"{before}. Received: {notes['metrics']}"
        )


def check_results(run: Run, config: Config, mnist: Mnist | None) -> None:
    """Refuses other data than a run's results are of.

    Args:
        run: The run, scored.
        config: The run.
        mnist: The data, or `None` if it is where the run had it: a file there
            is read again, if it still can be.

    Raises:
        InputError: If it is other data.
    """
    before = run.read_results().get("data_sha256")
    source = run.read_config().data  # a path as the run found it: absolute
    if mnist is None and os.path.isabs(source):
        with contextlib.suppress(InputError):
            mnist = load_mnist(source)
    if mnist is None or before is None:
        return
    now = data_digests(mnist, config)
    other = [name for name in now if before.get(name) != now[name]]
    if other:
        raise InputError(
            "This run has results, of other data: name another `run_dir`. "
            f"Received: another {' and '.join(other)} set, for "
            f"{str(run.path)!r}"
        )
