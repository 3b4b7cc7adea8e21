import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from keras_mnist_sum import presets
from keras_mnist_sum.config import BACKBONES
from keras_mnist_sum.config import DIGIT_LOSSES
from keras_mnist_sum.config import HEADS
from keras_mnist_sum.config import OPTIMIZERS
from keras_mnist_sum.config import SCHEDULES
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.settings import range_text

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
# What a run of the first edition wrote, in part.
FIRST_EDITION = {
    "preset": "fast",
    "data": "sample",
    "data_dir": None,
    "validation_fraction": 0.0,
    "difference": "signed",
    "backbone": "small",
    "width": 8,
    "average_shift": 1,
    "head": "exact",
    "supervise": "sum,difference",
    "digit_loss": "cross_entropy",
    "steps": 60,
    "deterministic": True,
}


@pytest.mark.parametrize(
    "config",
    [
        Config(seed=7, difference="signed", data_dir="a folder"),
        Config(outputs=("sum", "digit"), supervise=("digit",), epochs=2.5),
        Config(
            custom_task=Task(digit=lambda d, n: d, product=lambda d, n: d * n)
        ),
        Config(
            schedule="linear",
            loss_weights={"sum": 2, "digit": 0.5},
            custom_optimizer={"class_name": "Lion", "config": {"a": [1, 2]}},
            initial_weights="0123",
        ),
        *(preset.config for preset in presets.PRESETS.values()),
    ],
)
def test_config_survives_json(config):
    found = Config.from_json(config.to_json())
    assert found == config and found.task == config.task


def test_reads_config_of_the_first_edition():
    config = Config.from_json(json.dumps(FIRST_EDITION))
    assert config == Config(
        preset="fast",
        data="sample",
        validation_fraction=0.0,
        difference="signed",
        backbone="small",
        width=8,
        test_time_shift=1,
        head="exact",
        supervise=("sum", "difference"),
        steps=60,
    )
    assert config.task == Task.named(difference="signed")
    default = {"average_shift": 0, "supervise": "digit,sum,difference"}
    assert Config.from_json(json.dumps(default)) == Config()


@pytest.mark.parametrize(
    "name, value",
    [
        ("steps", 0),
        ("steps", -1),
        ("steps", 1.5),
        ("steps", True),
        ("epochs", 0.0),
        ("epochs", "3"),
        ("deterministic", 1),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-3),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("seed", -1),
        ("seed", 2**31),
        ("width", 0),
        ("beta_1", 1.0),
        ("validation_fraction", 0.9),
        ("difference", "modulo"),
        ("head", "tail"),
        ("precision", "float8"),
        ("backbone", "spine"),
        ("optimizer", "adagrad"),
        ("digit_loss", "hinge"),
        ("schedule", "fixed"),
        ("loss_weights", ("sum",)),
        ("loss_weights", {"sum": 0}),
        ("loss_weights", {"sum": -1}),
        ("loss_weights", {"sum": True}),
        ("loss_weights", {"sum": "2"}),
        ("loss_weights", {"sum": float("nan")}),
        ("loss_weights", {"sum": float("inf")}),
        ("loss_weights", {3: 1}),
        ("loss_weights", {"product": 2}),
        ("custom_optimizer", "lion"),
        ("initial_weights", b"0"),
        ("data", 3),
        ("data", None),
        ("outputs", "digit,sum"),
        ("outputs", ("digit", 3)),
        ("custom_task", {"digit": {}}),
    ],
)
def test_wrong_value_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"`{name}`.*Received: {name}="):
        Config(**{name: value})


def test_takes_numpys_numbers_paths_and_lists():
    given = Config(
        width=np.int64(8),
        seed=np.array(3),
        epochs=np.float32(2),
        deterministic=np.bool_(False),
        data=Path("a", "b"),
        outputs=["digit", "sum"],
        supervise=np.array(["digit"]),
        loss_weights={"digit": np.float32(0.5)},
    )
    plain = Config(
        width=8,
        seed=3,
        epochs=2.0,
        deterministic=False,
        data="a/b",
        outputs=("digit", "sum"),
        supervise=("digit",),
        loss_weights={"digit": 0.5},
    )
    assert given == plain and given.to_json() == plain.to_json()
    for name, value in vars(plain).items():
        assert type(getattr(given, name)) is type(value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Config("fast"),
        lambda: Config(widht=8),
        lambda: dataclasses.replace(Config(), widht=8),
        lambda: Config(cls=1),
    ],
)
def test_rejects_values_without_a_name_or_of_no_field(make):
    with pytest.raises(InputError, match=r"presets.get\(NAME\).*Received: "):
        make()


@pytest.mark.parametrize("content", [None, {}, 3])
def test_rejects_what_is_no_text_of_a_config(content):
    with pytest.raises(InputError, match="Not a config. Received: "):
        Config.from_json(content)


def test_a_preset_its_name_or_its_config_is_a_config():
    preset = presets.get("fast")
    for value in ("fast", preset, preset.config):
        assert presets.as_config(value) == preset.config
    for value in ("fats", None, {"width": 8}, Config, ["fast"]):
        with pytest.raises(InputError, match="residual, fast.*Received: "):
            presets.as_config(value)


@pytest.mark.parametrize(
    "supervise",
    [
        (),
        ("",),
        ("digits",),
        ("sum", "sum"),
        ("digit", ""),
        ("digit sum",),
        ("digit", "product"),
        "digit",
        "digit,sum",
    ],
)
def test_supervision_must_name_outputs(supervise):
    with pytest.raises(InputError, match="`supervise` must.*Received: "):
        Config(supervise=supervise)


def test_all_outputs_are_supervised_by_default():
    assert Config().supervised == ("digit", "sum", "difference")
    config = Config(outputs=("product", "digit"))
    assert config.supervised == ("product", "digit")


@pytest.mark.parametrize(
    "outputs, received",
    [
        (("digit", "quotient"), "'quotient'"),
        (("sum", "difference"), r"\['sum', 'difference'\]"),
        (("digit", ""), "''"),
        ((), r"\[\]"),
    ],
)
def test_outputs_must_be_known_and_have_the_digit(outputs, received):
    with pytest.raises(InputError, match=f"Received: {received}"):
        Config(outputs=outputs)


def test_task_of_ones_own_replaces_the_named_outputs():
    task = Task(digit=lambda d, n: d, product=lambda d, n: d * n)
    config = Config(custom_task=task)
    assert config.task is task and config.supervised == ("digit", "product")
    for change in ({"outputs": ("digit", "sum")}, {"difference": "signed"}):
        with pytest.raises(InputError, match="says what its outputs are"):
            Config(custom_task=task, **change)


@pytest.mark.parametrize("head", ["table", "concat", "argmax", "regression"])
def test_without_digit_labels_the_arithmetic_must_be_given(head):
    with pytest.raises(InputError, match="only the head 'exact'"):
        Config(supervise=("sum",), head=head)
    Config(supervise=("sum",), head="exact")


def test_only_losses_that_teach_have_a_weight():
    Config(supervise=("digit", "sum"), loss_weights={"sum": 2})
    with pytest.raises(InputError, match="`loss_weights` must name.*Received"):
        Config(supervise=("digit",), loss_weights={"sum": 2})


def test_weights_given_are_copied():
    weights = {"sum": 2.0}
    config = Config(loss_weights=weights)
    weights["sum"] = 3.0
    assert config.loss_weights == {"sum": 2.0}


def test_digit_loss_without_digit_labels_is_refused():
    with pytest.raises(InputError, match="needs its labels.*Received:"):
        Config(
            supervise=("sum",), head="exact", digit_loss="negative_probability"
        )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{",
        "[" * 10**5,
        '{"stepz": 1}',
        '{"steps": null}',
        '{"custom_task": 3}',
        '{"custom_task": {}}',
        '{"outputs": [[]]}',
        '{"outputs": {"digit": 1}}',
        '{"supervise": [3]}',
        '{"average_shift": 1, "supervise": 3}',
    ],
)
def test_text_that_is_no_config_is_refused(text):
    with pytest.raises(InputError, match="Received:"):
        Config.from_json(text)


def test_epochs_become_steps():
    config = Config(epochs=2.5, batch_size=100).with_steps(1000)
    assert (config.steps, config.epochs) == (25, None)
    assert Config(epochs=0.001, batch_size=100).with_steps(1000).steps == 1
    assert Config(steps=7).with_steps(1000) == Config(steps=7)


def test_choices_are_the_keys_of_the_dicts_that_hold_them():
    from keras_mnist_sum.models import backbones
    from keras_mnist_sum.models import baselines
    from keras_mnist_sum.models import heads
    from keras_mnist_sum.training import optimization
    from keras_mnist_sum.training import schedules

    assert set(BACKBONES) == {*backbones.BACKBONES, *baselines.BACKBONES}
    assert set(HEADS) == {*heads.HEADS, *baselines.HEADS}
    assert set(OPTIMIZERS) == set(optimization.OPTIMIZERS)
    assert set(SCHEDULES) == set(schedules.SCHEDULES)
    assert set(DIGIT_LOSSES) == set(optimization.DIGIT_LOSSES)


@pytest.mark.parametrize(
    "field", [x for x in FIELDS.values() if x.metadata["range"]]
)
def test_error_says_the_range(field):
    low, high = field.metadata["range"]
    whole = field.type is int
    with pytest.raises(InputError) as error:
        Config(**{field.name: (int if whole else float)(2 * high + 1)})
    assert range_text(low, high) in str(error.value)
    assert field.metadata["unit"] in str(error.value)


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


def test_run_on_the_sample_goes_on_where_mnist_came_since():
    begun = Config(data="sample")
    asked = Config(data="auto", data_dir="/where/mnist/is").as_begun(begun)
    assert (asked.data, asked.data_dir) == ("sample", None)
    prepared = Config(data="tfds", data_dir="/where/it/was")
    asked = Config(data="auto", data_dir="/where/mnist/is").as_begun(prepared)
    assert (asked.data, asked.data_dir) == ("tfds", "/where/mnist/is")
    own = Config(data="/a/file.npz")  # Which a folder of MNIST contradicts.
    asked = Config(data="auto", data_dir="/where/mnist/is").as_begun(own)
    assert (asked.data, asked.data_dir) == ("auto", "/where/mnist/is")
