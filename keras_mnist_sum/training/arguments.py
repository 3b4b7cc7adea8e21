"""What `train` is given, checked before anything is done."""

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import keras

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import Task


def check_arguments(
    run_dir: object,
    task: object,
    callbacks: Sequence[keras.callbacks.Callback],
    checkpoint_every: Any,
    tensorboard: bool,
) -> None:
    """Refuses arguments of `train` that mean nothing, before any work.

    Raises:
        InputError: If one does.
    """
    if not isinstance(run_dir, str | os.PathLike) or not str(run_dir):
        raise InputError(
            "`run_dir` must be the path of a folder. "
            f"Received: {type(run_dir).__name__}"
        )
    if task is not None and not isinstance(task, Task):
        raise InputError(
            "`task` must be a `Task`, as Task(digit=..., sum=...) or "
            "Task.named(('digit', 'sum')). "
            f"Received: {type(task).__name__}"
        )
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
                f" a run goes on by itself. Received: {callback!r:.80}"
            )
    if checkpoint_every is not None and (
        not isinstance(checkpoint_every, Integral) or checkpoint_every < 1
    ):
        raise InputError(
            "`checkpoint_every` must be a positive number of steps. "
            f"Received: checkpoint_every={checkpoint_every}"
        )
    if tensorboard:
        from keras_mnist_sum.training.callbacks.tensorboard import (
            check_installed,
        )

        check_installed()
