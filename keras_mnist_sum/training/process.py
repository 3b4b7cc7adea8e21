"""What training changes in the process, and how it is put back."""

import contextlib
import random
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.framework import config as tf_config

_KERAS_STATE = ("global_random_seed", "global_seed_generator")


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
