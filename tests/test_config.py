import dataclasses

import pytest

from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError


def test_config_survives_json():
    config = Config(seed=7, difference="signed", data_dir="a folder")
    assert Config.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "name, value",
    [
        ("steps", 0),
        ("steps", -1),
        ("steps", 1.5),
        ("steps", True),
        ("deterministic", 1),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-3),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("seed", -1),
        ("seed", 2**31),
        ("width", 0),
        ("validation_fraction", 0.9),
        ("difference", "modulo"),
        ("head", "tail"),
        ("precision", "float8"),
        ("backbone", "spine"),
        ("optimizer", "adagrad"),
        ("digit_loss", "hinge"),
        ("data", 3),
    ],
)
def test_wrong_value_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"`{name}`.*Received: {name}="):
        Config(**{name: value})


@pytest.mark.parametrize(
    "supervise", ["", "digits", "sum,sum", "digit,", "digit sum"]
)
def test_supervision_must_name_outputs(supervise):
    with pytest.raises(InputError, match="`supervise` must name"):
        Config(supervise=supervise)


@pytest.mark.parametrize("head", ["table", "concat", "argmax", "regression"])
def test_without_digit_labels_the_arithmetic_must_be_given(head):
    with pytest.raises(InputError, match="only the head 'exact'"):
        Config(supervise="sum", head=head)
    Config(supervise="sum", head="exact")


def test_digit_loss_without_digit_labels_is_refused():
    with pytest.raises(InputError, match="needs its labels.*Received:"):
        Config(supervise="sum", head="exact", digit_loss="negative_probability")


@pytest.mark.parametrize("text", ["", "[]", "3", '{"stepz": 1}', "{"])
def test_text_that_is_no_config_is_refused(text):
    with pytest.raises(InputError, match="Received:"):
        Config.from_json(text)


def test_each_preset_bears_its_own_name():
    for name, preset in presets.PRESETS.items():
        assert preset.config.preset == name
        assert preset.description
    default = presets.get(presets.DEFAULT).config
    assert default == Config(precision="auto")


def test_unknown_preset_is_refused():
    with pytest.raises(InputError, match="Received: preset='x'"):
        presets.get("x")


def test_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().steps = 3
