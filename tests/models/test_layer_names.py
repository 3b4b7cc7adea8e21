"""A model's layers have names that read like its architecture."""

import re
import shutil

import keras
import pytest

import keras_mnist_sum
from keras_mnist_sum.config import BACKBONES
from keras_mnist_sum.config import HEADS
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models import backbones
from keras_mnist_sum.task import Task

# One for the network from the image to the digit, one for what follows.
BACKBONE = "image|stage[0-9](_block[0-9])?_[a-z]+[0-9]?|.*_shifts|logits"
REST = "propagate_nan|metadata|number|head_[a-z_]+[0-9]?|digit|sum|difference"
DESIGNS = [
    ("residual", "table"),
    ("small", "exact"),
    ("plain", "concat"),
    ("plain_doubling", "regression"),
    ("dropout", "argmax"),
]


def names(model):
    return [layer.name for layer in model.layers]


def test_designs_below_are_all_there_are():
    for tried, existing in zip(zip(*DESIGNS), (BACKBONES, HEADS)):
        assert set(tried) == set(existing)


@pytest.mark.parametrize("backbone, head", DESIGNS)
def test_every_layer_says_its_place_and_says_the_same_each_time(backbone, head):
    config = Config(backbone=backbone, head=head, width=2, test_time_shift=1)
    found = names(keras_mnist_sum.build_model(config))
    for name in found:
        assert re.fullmatch(f"{BACKBONE}|{REST}", name), name
    assert len(set(found)) == len(found)
    assert found == names(keras_mnist_sum.build_model(config))


def test_backbone_of_your_own_may_leave_its_layers_unnamed(
    monkeypatch, tmp_path
):
    def mine(image, width):
        x = keras.layers.Conv2D(width, 3, activation="relu")(image)
        x = keras.layers.Conv2D(width, 3, activation="relu")(x)
        return keras.layers.Dense(10)(keras.layers.Flatten()(x))

    monkeypatch.setitem(backbones.BACKBONES, "small", mine)
    model = keras_mnist_sum.build_model(Config(backbone="small", width=2))
    assert len(set(names(model))) == len(model.layers)
    model.save(tmp_path / "model.keras")
    loaded = keras_mnist_sum.load_model(tmp_path / "model.keras")
    assert names(loaded) == names(model)


@pytest.mark.parametrize("name", ["metadata", "stage1_conv"])
def test_output_that_is_called_as_a_layer_is_refused_in_a_line(name):
    functions = {"digit": lambda d, n: d, name: lambda d, n: d * n}
    config = Config(backbone="small", width=2, custom_task=Task(**functions))
    with pytest.raises(InputError, match=f"Received: .*{name}") as raised:
        keras_mnist_sum.build_model(config)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_keras_draws_the_layers(tmp_path):
    pytest.importorskip("pydot", reason="requirements-examples.txt")
    if shutil.which("dot") is None:
        pytest.skip("no Graphviz")
    model = keras_mnist_sum.build_model(Config(backbone="small", width=2))
    keras.utils.plot_model(model, tmp_path / "layers.png")
    assert (tmp_path / "layers.png").stat().st_size > 1000
    drawn = keras.utils.model_to_dot(model, show_layer_names=True).to_string()
    assert all(name in drawn for name in names(model))
