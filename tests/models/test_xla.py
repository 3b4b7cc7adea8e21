"""Nothing waits for XLA on a GPU."""

from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from keras_mnist_sum.config import Config
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.models.cut import AllNumbers
from keras_mnist_sum.training.optimization import compile_model

CONFIG = Config(backbone="small", width=2)


def load(model, folder):
    model.save(folder / "model.keras")
    return load_model(folder / "model.keras")


@pytest.mark.parametrize(
    "made",
    [
        lambda model, folder: model,
        lambda model, folder: copy_model(
            keras.Model(model.input, model.output)
        ),
        lambda model, folder: AllNumbers(copy_model(model)),
        lambda model, folder: compile_model(model, CONFIG),
        load,
    ],
    ids=["built", "copied", "for all numbers", "compiled", "loaded"],
)
def test_models_do_without_xla_where_keras_would_use_it(
    made, tmp_path, monkeypatch
):
    gpu = SimpleNamespace(device_type="GPU")
    model = build_model(CONFIG)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [gpu])
    assert keras.Model(model.input, model.output).jit_compile
    assert made(model, tmp_path).jit_compile is False
