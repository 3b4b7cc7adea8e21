"""What `train` is given, checked before anything is done."""

import dataclasses
import os
from typing import Any

import keras

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.formats.open import PathLike
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.task import Task
from keras_mnist_sum.training import fine_tuning
from keras_mnist_sum.training.optimization import has_constant_rate
from keras_mnist_sum.training.optimization import optimizer_to_dict
from keras_mnist_sum.utils import extras
from keras_mnist_sum.utils.arguments import as_flag
from keras_mnist_sum.utils.arguments import as_integer

_SET_THE_RATE = (
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
)


def check_arguments(
    run_dir: Any,
    task: object,
    checkpoint_every: Any,
    tensorboard: bool,
) -> None:
    """Refuses arguments of `train` that mean nothing, before any work.

    Raises:
        InputError: If one does.
    """
    Run(run_dir)  # It refuses what is no path.
    if task is not None and not isinstance(task, Task):
        raise InputError(
            "`task` must be a `Task`, as Task(digit=..., sum=...) or "
            "Task.named(('digit', 'sum')). "
            f"Received: {type(task).__name__}"
        )
    if checkpoint_every is not None:
        as_integer(checkpoint_every, "checkpoint_every", 1)
    if as_flag(tensorboard, "tensorboard"):
        extras.check("tensorboard", "`tensorboard`")
    extras.check("tensorflow_serving", "Writing the SavedModel of a run")


def combine(
    config: Config,
    data: Mnist | None,
    task: Task | None,
    model: keras.Model | None,
    optimizer: Any,
) -> Config:
    """The config of a run with these in place of what `config` says.

    Raises:
        InputError: If they do not fit it.
    """
    changes: dict[str, Any] = {}
    if data is not None:
        changes = {"data": data.source, "data_dir": data.data_dir}
    if task is not None:
        changes["custom_task"] = task
    if optimizer is not None:
        changes["custom_optimizer"] = optimizer_to_dict(optimizer)
    config = dataclasses.replace(config, **changes)
    if model is not None:
        return fine_tuning.combine(config, model)
    if config.initial_weights is not None:
        raise InputError(
            "`model` must be given: the config is of a run that went on from "
            f"one. Received: initial_weights={config.initial_weights!r}"
        )
    return config


def check_callbacks(callbacks: object, config: Config, run: Run) -> None:
    """Refuses what are no callbacks, or cannot do their work in this run.

    Raises:
        InputError: If one is none, or cannot.
    """
    if not isinstance(callbacks, list | tuple):
        raise InputError(
            f"`callbacks` must be a list. Received: {type(callbacks).__name__}"
        )
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback) or isinstance(
            callback, keras.callbacks.BackupAndRestore
        ):
            raise InputError(
                "`callbacks` must be Keras callbacks, and not BackupAndRestore:"
                f" a run goes on by itself. Received: {shown(callback)}"
            )
        if getattr(callback, "swap_on_epoch", False):
            raise InputError(
                "SwapEMAWeights must be called with swap_on_epoch=False: a run "
                "could not go on from averages. Received: swap_on_epoch=True"
            )
        place = getattr(callback, "filepath", None)
        if isinstance(place, PathLike) and (
            os.path.realpath(os.fsdecode(place)) == os.path.realpath(run.model)
        ):
            raise InputError(
                "A callback must write elsewhere: the trained model gets this "
                f"name. Received: {str(place)!r}"
            )
        if isinstance(callback, _SET_THE_RATE) and not has_constant_rate(
            config
        ):
            raise InputError(
                f"{type(callback).__name__} sets the learning rate, so no "
                "schedule may: use Config(schedule='constant'), or an "
                "`optimizer` with a number for its rate. "
                f"Received: schedule={config.schedule!r}"
            )
