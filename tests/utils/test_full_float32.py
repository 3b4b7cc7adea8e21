"""float32 is float32, whatever a GPU would make of it."""

import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.config import Config
from keras_mnist_sum.evaluation.evaluate import predict_all_pairs
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.model_file import declared_model
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.task import INPUT_SHAPES
from keras_mnist_sum.task import Task
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
def test_exports_are_compared_in_float32(rounded, tmp_path, format):
    model = build_model()
    export(model, tmp_path, format)
    assert rounded == {False}


def test_opened_model_answers_in_float32():
    found = []

    def run(arrays):
        found.append(is_rounded())
        return arrays

    inputs = {
        name: ((None, *shape), "float32")
        for name, shape in INPUT_SHAPES.items()
    }
    outputs = {
        name: ((None, output.num_classes), "float32")
        for name, output in Task.named().items()
    }
    opened = declared_model(Path("some"), run, inputs, outputs, None)
    opened.predict(
        model_inputs(np.zeros((1, 28, 28), "uint8"), np.zeros(1, int))
    )
    assert found == [False] and is_rounded()


def test_scores_are_of_float32(rounded, digits):
    predict_all_pairs(build_model(), *digits)
    assert rounded == {False}


def test_training_is_in_float32(rounded, npz, tmp_path):
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
