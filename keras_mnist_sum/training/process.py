"""What training changes in the process, and how it is put back."""

import contextlib
import functools
import logging
import random
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.data.ops import debug_mode
from tensorflow.python.data.ops import multi_device_iterator_ops
from tensorflow.python.eager import context
from tensorflow.python.framework import config as tf_config

from keras_mnist_sum.data.pipeline import without_autotuning
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.reporting import default_style
from keras_mnist_sum.utils.full_float32 import full_float32
from keras_mnist_sum.utils.quiet import filtered_warnings

_KERAS_STATE = ("global_random_seed", "global_seed_generator")
_DEVICE_DATASET = "_create_device_dataset"
_create_device_dataset = getattr(multi_device_iterator_ops, _DEVICE_DATASET)


def _create_untuned(*arguments: Any) -> tf.data.Dataset:
    return without_autotuning(_create_device_dataset(*arguments))


# How to get each, how to set it, and what it is by itself.
_SETTINGS: list[tuple[Callable[[], Any], Callable[[Any], None], Any]] = [
    (  # `None`: as `floatx` says.
        functools.partial(global_state.get_global_attribute, "dtype_policy"),
        functools.partial(global_state.set_global_attribute, "dtype_policy"),
        None,
    ),
    (keras.config.floatx, keras.config.set_floatx, "float32"),
    (keras.config.epsilon, keras.config.set_epsilon, 1e-7),
    (
        keras.config.image_data_format,
        keras.config.set_image_data_format,
        "channels_last",
    ),
    (keras.config.max_epochs, keras.config.set_max_epochs, None),
    (
        keras.config.max_steps_per_epoch,
        keras.config.set_max_steps_per_epoch,
        None,
    ),
    (tf.config.functions_run_eagerly, tf.config.run_functions_eagerly, False),
    (tf.config.optimizer.get_jit, tf.config.optimizer.set_jit, False),
    # It warns of functions that are traced again, as for each export.
    (lambda: tf.get_logger().level, tf.get_logger().setLevel, logging.ERROR),
    # Of `tf.data`.
    (lambda: debug_mode.DEBUG_MODE, debug_mode.toggle_debug_mode, False),
    (  # What several devices get batches from: no option reaches it.
        functools.partial(getattr, multi_device_iterator_ops, _DEVICE_DATASET),
        functools.partial(setattr, multi_device_iterator_ops, _DEVICE_DATASET),
        _create_untuned,
    ),
]
_is_used = threading.Lock()


@contextlib.contextmanager
def default_settings() -> Iterator[None]:
    """Keras, TensorFlow, NumPy and Matplotlib as they are by themselves while
    the block runs, whatever the user has set, in `keras.json` or by calls.

    These are the whole process's, as seeds and determinism are, so that one
    block at a time may run.

    Raises:
        InputError: If another block runs, or TensorFlow does not execute
            eagerly.
    """
    if not tf.executing_eagerly():
        raise InputError(
            "TensorFlow must execute eagerly, as it does by itself. "
            "Received: a graph, or eager execution disabled"
        )
    process = context.context()
    options = process._optimizer_experimental_options
    with contextlib.ExitStack() as stack:
        if not _is_used.acquire(blocking=False):
            raise InputError(
                "One run at a time trains in a process: start another process "
                "for a second. Received: train() while another train() runs"
            )
        stack.callback(_is_used.release)
        for get, put, default in _SETTINGS:
            stack.callback(put, get())
            put(default)
        stack.callback(process.set_optimizer_experimental_options, {**options})
        options.clear()
        # Those of `tf.debugging`, which take any NaN for an error.
        stack.callback(process.op_callbacks.extend, [*process.op_callbacks])
        process.op_callbacks.clear()
        stack.enter_context(full_float32())
        stack.enter_context(default_style())
        stack.enter_context(np.errstate(all="warn", under="ignore"))
        # Keras reading TensorFlow's variables under NumPy 2: nothing of ours.
        about = "__array__ implementation doesn't"
        stack.enter_context(filtered_warnings("ignore", message=about))
        yield


@contextlib.contextmanager
def seeded(seed: int, deterministic: bool) -> Iterator[None]:
    """Seeds every generator of random numbers, and has TensorFlow compute
    deterministically, while the block runs.

    Afterwards determinism and the states of Python, NumPy and Keras are what
    they were. TensorFlow's own global seed stays `seed`: it has no way back.

    Args:
        seed: The seed.
        deterministic: Whether to compute deterministically; `False` leaves
            that as it is.
    """
    python, numpy = random.getstate(), np.random.get_state()
    before = {x: global_state.get_global_attribute(x) for x in _KERAS_STATE}
    was_deterministic = tf_config.is_op_determinism_enabled()
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    try:
        yield
    finally:
        if not was_deterministic:
            tf_config.disable_op_determinism()
        for name, value in before.items():
            global_state.set_global_attribute(name, value)
        random.setstate(python)
        np.random.set_state(numpy)
