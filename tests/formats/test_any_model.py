"""A model is taken in whatever form a caller has it."""

import keras
import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.formats import saved_model
from keras_mnist_sum.formats.any_model import as_opened
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.task import Task


def test_load_model_takes_what_holds_a_keras_model(tmp_path, monkeypatch):
    """And nothing else is opened for it, least of all run."""
    monkeypatch.setattr(saved_model, "open_file", None)
    model = build_model(Config(backbone="small", width=2))
    opened = open_model(export(model, tmp_path, "keras").path)
    for same in (opened, opened.keras_model):
        assert load_model(same) is opened.keras_model
    program = tmp_path / "program"
    program.mkdir()
    (program / "saved_model.pb").touch()
    onnx = pretrained.checked_path("model.onnx")
    for other in (program, onnx, open_model(onnx)):
        with pytest.raises(InputError, match="takes a Keras model.*Received: "):
            load_model(other)
    for wrong in (None, 3, Config(), keras.Sequential(), keras.layers.Dense(2)):
        with pytest.raises(InputError, match="A model .*Received: "):
            load_model(wrong)
    with pytest.raises(InputError, match="`difference` is for a file"):
        load_model(opened.keras_model, "signed")


def test_model_in_memory_has_its_own_task_and_stays_as_it_is():
    config = Config(backbone="small", width=2, difference="signed")
    model = build_model(config)
    before = model.to_json()
    opened = as_opened(model)
    assert opened.task == config.task and opened.keras_model is model
    assert as_opened(model, config.task).task == config.task
    assert as_opened(opened) is opened
    assert model.to_json() == before and model.predict_function is None
    with pytest.raises(InputError, match="the model's own. Received: "):
        as_opened(model, Task.named())
