"""XLA, which Keras's TensorFlow backend turns on by itself on GPUs."""

import keras


def without_xla(model: keras.Model) -> keras.Model:
    """The same model, which answers by TensorFlow's own operations.

    For each batch size anew, XLA takes seconds to minutes before it answers.
    How a model is compiled for `fit` is said by `compile`.
    """
    if keras.backend.backend() == "tensorflow":
        model.jit_compile = False
    return model
