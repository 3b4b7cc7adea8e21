"""What is logged after an epoch is numbers, or ends the run in one line."""

import keras
import numpy as np
import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.training.callbacks.logs import CheckLogs
from keras_mnist_sum.training.train import train


def test_numbers_of_any_type_become_pythons():
    logs = {"loss": np.float32(2), "lr": keras.ops.ones(()), "done": True}
    CheckLogs().on_epoch_end(0, logs)
    assert logs == {"loss": 2.0, "lr": 1.0, "done": 1.0}
    assert {type(value) for value in logs.values()} == {float}


@pytest.mark.parametrize(
    "logs",
    [{"x": "text"}, {"x": None}, {"x": np.ones(3)}, {3: 1.0}, {"a\nb": []}],
)
def test_what_is_no_number_is_one_clear_line(logs):
    with pytest.raises(InputError, match="must be numbers.*Received") as error:
        CheckLogs().on_epoch_end(0, {"loss": 1.0, **logs})
    assert str(error.value).isprintable()


def test_logs_without_a_loss_are_one_clear_line():
    with pytest.raises(InputError, match="must leave the loss.*Received"):
        CheckLogs().on_epoch_end(0, {"x": 1.0})


@pytest.mark.slow
def test_run_with_such_logs_ends_before_they_are_written(digits, tmp_path):
    """Only TensorBoard and the history would have noticed."""
    config = Config(backbone="small", width=1, steps=2, batch_size=8)
    log = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(epoch="text")
    )
    with pytest.raises(InputError, match="must be numbers"):
        train(
            config,
            tmp_path,
            data=Mnist.from_arrays(*digits, *digits),
            callbacks=[log],
            tensorboard=True,
            verbose=0,
        )
    assert not (tmp_path / "history.csv").exists()
