"""Seconds of a training step, in the midst of a run."""

import time
from collections.abc import Sequence

import keras
import tensorflow as tf

WARM = 4  # The first steps of a `fit`, not timed: the buffers are still empty.


def seconds_of_a_step(
    model: keras.Model,
    data: tf.data.Dataset,
    steps: int,
    warm: int = WARM,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> float:
    """Calls `fit`; the mean over its steps but the first ones.

    What `fit` does at its start, such as making an iterator, takes as long as
    some steps, and is left out.

    Args:
        model: A compiled model.
        data: At least `steps` batches of `(inputs, targets)`.
        steps: How many to train, with the first ones.
        warm: How many are the first ones: at least 1, less than `steps`.
        callbacks: What `fit` calls besides; its time counts.
    """
    ends = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    model.fit(
        data,
        steps_per_epoch=steps,
        shuffle=False,
        callbacks=[*callbacks, note],
        verbose=0,
    )
    return (ends[-1] - ends[warm - 1]) / (steps - warm)
