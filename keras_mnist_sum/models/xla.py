"""XLA, which Keras's TensorFlow backend turns on by itself on GPUs."""

import keras


def without_xla(model: keras.Model) -> keras.Model:
    """The same model, which computes by TensorFlow's own operations.

    XLA takes seconds to minutes before the first step, and before the first
    answer for each batch size. `model.compile` turns it on again.
    """
    if keras.backend.backend() == "tensorflow":
        model.jit_compile = False
    return model
