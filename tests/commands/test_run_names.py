"""A run is called after what differs in it."""

import dataclasses
import os
import re

import pytest

from keras_mnist_sum import presets
from keras_mnist_sum.commands import run_names
from keras_mnist_sum.config import Config


def config(preset, **changes):
    return dataclasses.replace(presets.get(preset).config, **changes)


@pytest.mark.parametrize(
    "changes, name",
    [
        ({}, "fast"),
        (dict(seed=1, head="concat"), "fast-concat-s1"),
        (dict(data="sample", steps=10), "fast-sample-10steps"),
        (dict(data="/some where/mnist.npz"), "fast-mnist.npz"),
        (dict(data_dir="/elsewhere"), "fast"),
        (dict(width=16, epochs=3.0), "fast-w16-3epochs"),
        (dict(epochs=0.5, batch_size=64), "fast-0.5epochs-b64"),
        (dict(outputs=("digit", "sum")), "fast-outputs_digit+sum"),
        (
            dict(supervise=("sum",), head="exact", difference="signed"),
            "fast-signed-supervise_sum-exact",
        ),
        (
            dict(learning_rate=1e-05, deterministic=False),
            "fast-lr1e_05-no_deterministic",
        ),
        (dict(rotation=0.25), "fast-rotation_0.25"),
    ],
)
def test_name_says_what_was_changed(changes, name):
    assert run_names.name(config("fast", **changes)) == name


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_preset_as_it_is_has_its_own_name(preset):
    assert run_names.name(config(preset)) == preset
    assert run_names.describe(config(preset)) == f"preset {preset}, data auto"


def test_name_of_any_config_is_short_and_safe():
    """Whatever the file system or shell; two digits are told apart."""
    numbers = {
        field.name: field.default * 0.5
        for field in dataclasses.fields(Config)
        if isinstance(field.default, float)
    }
    changed = config(
        "baseline_regression",
        data="/tmp/" + "x" * 200 + os.fsdecode(b"\xff") + "$(ls) '\n-/",
        seed=2**31 - 1,
        **numbers,
    )
    name = run_names.name(changed)
    assert len(name) < 70 and name.endswith("-more")
    assert re.fullmatch("[A-Za-z0-9_.+-]+", name) and name[0].isalpha()
