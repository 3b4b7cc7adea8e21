"""The steps of a run: from its newest checkpoint to the last one."""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.training import checkpoints
from keras_mnist_sum.training.callbacks.progress import Console
from keras_mnist_sum.training.callbacks.tensorboard import Summaries
from keras_mnist_sum.training.checkpoints import Checkpoint
from keras_mnist_sum.training.recording import Recorder


def fit(
    model: keras.Model,
    examples: tuple[np.ndarray, ...],
    config: Config,
    run_dir: Path,
    devices: Distribution,
    requests: StopRequests,
    console: Console,
    checkpoint_every: int | None = None,
    tensorboard: bool = False,
) -> float:
    """Trains `model` from the newest checkpoint, if there is one, to the end.

    Args:
        model: Compiled, with its initial weights.
        examples: Images and labels to train on, then those held out.
        config: The run.
        run_dir: Its directory; it receives `history.csv` and checkpoints.
        devices: What trains; all workers must call this together.
        requests: Looked at after each step.
        console: Shows how it goes.
        checkpoint_every: Steps between checkpoints. Default: about 30 seconds.
        tensorboard: Whether to write summaries, too.

    Returns:
        The seconds that all steps took, in this process and earlier ones, with
        TensorFlow's graph, held-out images and checkpoints.

    Raises:
        InputError: If the directory's checkpoints are of other data, or the
            workers differ in config, data or checkpoints.
        DivergedError: If the loss or a weight is no longer finite.
        Stopped: If that was requested, after a checkpoint.
    """
    images, labels, held_out_images, held_out_labels = examples
    digest = _digest(examples)
    checkpoint = checkpoints.load_newest(
        run_dir / run_directory.CHECKPOINTS, console.warn
    )
    if checkpoint:
        if checkpoint.notes.get("data") != digest:
            raise InputError(
                "The training images or labels are not those that this run "
                f"began with. Received: {str(run_dir)!r}"
            )
        checkpoint.restore(model, "weights", "optimizer")
    devices.check_agreement(
        dataclasses.replace(config, data="", data_dir=None).to_json()
        + f"{digest} {checkpoint.step if checkpoint else 0}"
    )
    begun = f", going on after step {checkpoint.step:,}" if checkpoint else ""
    console.say(f"run    {run_dir}{begun}\n")

    # The fewest whole batches that pass over all images; the last epoch of a
    # run may be shorter.
    steps_per_epoch = -(-len(images) // config.batch_size)
    summaries = None
    if tensorboard and devices.is_chief:
        summaries = _summaries(examples, config, run_dir, checkpoint)
    recorder = Recorder(
        run_dir,
        config.steps,
        steps_per_epoch,
        requests,
        devices,
        checkpoint_every,
        {"data": digest},
        checkpoint,
        summaries,
    )
    displays = console.displays(config, steps_per_epoch)
    validation: dict = {}
    if len(held_out_images):
        held_out = pipeline.validation_dataset(
            held_out_images, held_out_labels, config
        )
        validation = dict(
            validation_data=devices.repeat(held_out),
            validation_steps=len(held_out),
        )
    with requests.deferred():
        for step, count, epoch, end in _segments(
            recorder.step, config.steps, steps_per_epoch
        ):
            batches = pipeline.training_dataset(
                images, labels, config, step, devices.part(config.batch_size)
            )
            model.fit(
                devices.split(batches, config.batch_size),
                initial_epoch=epoch,
                epochs=end,
                steps_per_epoch=count,
                **validation,
                shuffle=False,
                callbacks=[recorder, *displays],
                verbose=0,
            )
    return round(recorder.seconds, 2)


def _digest(arrays: tuple[np.ndarray, ...]) -> str:
    sha256 = hashlib.sha256()
    for array in arrays:
        sha256.update(array.data)
    return sha256.hexdigest()


def _summaries(
    examples: tuple[np.ndarray, ...],
    config: Config,
    run_dir: Path,
    checkpoint: Checkpoint | None,
) -> Summaries:
    notes = checkpoint.notes if checkpoint else {}
    images, labels, held_out_images, held_out_labels = examples
    if len(held_out_images):
        images, labels = held_out_images, held_out_labels
    return Summaries(
        run_dir / run_directory.TENSORBOARD,
        config,
        images,
        labels,
        notes.get("history", []),
        notes.get("points", []),
    )


def _segments(
    step: int, steps: int, steps_per_epoch: int
) -> Iterator[tuple[int, int, int, int]]:
    """Cuts the steps from `step` to `steps` into calls of `fit`, each of them
    of epochs of one length: the rest of the running epoch, whole epochs, and
    a shorter last one.

    Yields:
        `(first step, steps per epoch, first epoch, epoch after the last)`.
    """
    while step < steps:
        epoch, done = divmod(step, steps_per_epoch)
        whole = 0 if done else (steps - step) // steps_per_epoch
        count = min(steps_per_epoch - done, steps - step)
        yield step, count, epoch, epoch + max(whole, 1)
        step += count * max(whole, 1)
