"""float32 is float32, whatever a GPU would make of it."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.evaluation.evaluate import predict_all_pairs
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training import train as training
from keras_mnist_sum.utils.full_float32 import full_float32

is_rounded = tf.config.experimental.tensor_float_32_execution_enabled


@pytest.fixture
def rounded():
    """What the model's last operation found, whenever it ran."""
    found = set()
    original = tf.nn.softmax

    def softmax(x, *arguments, **named):
        answer = original(x, *arguments, **named)

        def look():
            found.add(is_rounded())
            return np.float32(0)

        with tf.control_dependencies([tf.numpy_function(look, [], "float32")]):
            return tf.identity(answer)

    tf.nn.softmax = softmax
    assert is_rounded()  # TensorFlow's own default
    yield found
    tf.nn.softmax = original
    assert is_rounded()


@pytest.mark.parametrize("format", ["keras", "saved_model"])
def test_exports_are_compared_and_answer_in_float32(rounded, tmp_path, format):
    model = build_model()
    path = export(model, tmp_path, format).path
    assert rounded == {False}
    rounded.clear()
    open_model(path).predict(
        model_inputs(np.zeros((1, 28, 28), "uint8"), np.zeros(1, int))
    )
    assert rounded <= {False}


def test_scores_are_of_float32(rounded, digits):
    predict_all_pairs(build_model(), *digits)
    assert rounded == {False}


def test_training_is_in_float32(rounded, npz, tmp_path):
    from keras_mnist_sum.config import Config

    config = Config(
        data=str(npz), backbone="small", width=2, steps=2, batch_size=8
    )
    training.train(config, tmp_path / "run", verbose=0)
    assert rounded == {False}


def test_last_of_several_threads_puts_it_back():
    inside, leave = threading.Barrier(3), threading.Event()

    def work():
        with full_float32():
            inside.wait(10)
            leave.wait(10)
            assert not is_rounded()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    with full_float32():
        assert not is_rounded()
    assert not is_rounded()
    leave.set()
    for thread in threads:
        thread.join()
    assert is_rounded()
