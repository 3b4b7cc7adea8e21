"""Every setting of `Config` is a flag, made from its field."""

import argparse
import dataclasses

import pytest

from keras_mnist_sum import presets
from keras_mnist_sum.commands import cli
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from tests.test_config import FIELDS

# For each field with a flag, what is said and what that means.
FLAGS = {
    "data": ("mnist.npz", "mnist.npz"),
    "data_dir": ("a folder", "a folder"),
    "validation_fraction": ("0.2", 0.2),
    "outputs": ("digit,product", ("digit", "product")),
    "difference": ("signed", "signed"),
    "supervise": ("sum,digit", ("sum", "digit")),
    "backbone": ("plain", "plain"),
    "width": ("16", 16),
    "head": ("exact", "exact"),
    "test_time_shift": ("2", 2),
    "precision": ("bfloat16", "bfloat16"),
    "rotation": ("0.3", 0.3),
    "scale": ("0.3", 0.3),
    "shear": ("0.3", 0.3),
    "shift": ("3", 3.0),
    "elastic": ("0.5", 0.5),
    "warp_fade_fraction": ("0.5", 0.5),
    "steps": ("5", 5),
    "epochs": ("3", 3.0),
    "batch_size": ("7", 7),
    "digit_loss": ("negative_probability", "negative_probability"),
    "loss_weights": ("sum=2,digit=0.5", {"sum": 2.0, "digit": 0.5}),
    "optimizer": ("sgd", "sgd"),
    "learning_rate": ("1e-2", 0.01),
    "schedule": ("constant", "constant"),
    "warmup_fraction": ("0.3", 0.3),
    "final_rate_fraction": ("0.3", 0.3),
    "beta_1": ("0.5", 0.5),
    "beta_2": ("0.5", 0.5),
    "weight_decay": ("0", 0.0),
    "train_teachers": ("2", 2),
    "distillation_weight": ("0.5", 0.5),
    "seed": ("3", 3),
    "deterministic": (None, False),
}


def parse(*arguments, **named):
    parser = cli.ArgumentParser()
    cli.add_config_arguments(parser, **named)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("name", [x for x in FIELDS if x in FLAGS])
def test_flag_sets_its_field_and_no_other(name):
    text, value = FLAGS[name]
    flag = f"--{name.replace('_', '-')}"
    given = ["--no-deterministic"] if text is None else [flag, text]
    config = cli.config_of(parse(*given), Config())
    assert config == dataclasses.replace(Config(), **{name: value})
    assert config != Config()
    assert type(getattr(config, name)) is type(value)


def test_every_field_has_help_and_what_a_flag_can_say_has_one():
    without_flag = {
        *("preset", "custom_task", "custom_optimizer", "initial_weights"),
        "teachers_sha256",
    }
    assert FLAGS.keys() | without_flag == FIELDS.keys()
    parser = cli.ArgumentParser()
    cli.add_config_arguments(parser)
    text = " ".join(parser.format_help().split())
    for name, field in FIELDS.items():
        assert field.metadata["help"]
        assert (f"--{name.replace('_', '-')} " in text) == (name in FLAGS)
        if name in FLAGS:
            assert field.metadata["help"] in text
            if field.metadata["choices"]:
                assert "|".join(field.metadata["choices"]) in text


def test_help_says_what_holds_without_a_flag():
    parser = cli.ArgumentParser()
    cli.add_config_arguments(parser, ("width", "seed", "deterministic", "data"))
    text = " ".join(parser.format_help().split())
    assert "(default: the preset's, 32)" in text  # Presets differ in it.
    assert "(default: 0)" in text and "(default: on)" in text
    assert "(default: auto)" in text and "--steps" not in text


def test_without_flags_the_config_is_that_of_the_preset():
    for preset in presets.PRESETS.values():
        assert cli.config_of(parse(), preset.config) == preset.config


def test_steps_replace_epochs_of_the_config_before():
    config = cli.config_of(parse("--steps", "5"), Config(epochs=2.0))
    assert (config.steps, config.epochs) == (5, None)


def test_steps_and_epochs_together_are_refused():
    with pytest.raises(InputError, match="Received: --steps 5 --epochs 2"):
        cli.config_of(parse("--steps", "5", "--epochs", "2"), Config())


def test_config_ignores_what_else_was_parsed():
    values = argparse.Namespace(preset="other", target="x", seed=None)
    assert cli.config_of(values, Config()) == Config()


@pytest.mark.parametrize(
    "text", ["", "sum", "sum=", "sum=x", "sum=1,sum=2", "sum=1,"]
)
def test_weights_that_are_no_numbers_by_name_are_one_line(text, capsys):
    with pytest.raises(SystemExit):
        parse("--loss-weights", text)
    error = capsys.readouterr().err
    assert (
        f"NAME=NUMBER,NAME=NUMBER, each name once. Received: {text!r}" in error
    )
    assert error.count("\n") == 1
