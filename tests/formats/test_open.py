"""Every form of a model says what it is, and opens as that."""

import json
import zipfile

import keras
import numpy as np
import pytest

import keras_mnist_sum
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.keras_file import check_loadable
from keras_mnist_sum.formats.open import FORMATS
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.layers import allow_layer
from keras_mnist_sum.task import Task

TINY = dict(backbone="small", width=2)
TASKS = {
    "default": {},
    "signed": {"difference": "signed"},
    "product": {"outputs": ("digit", "sum", "product")},
    "two": {"outputs": ("sum", "digit")},
    "own": {
        "custom_task": Task(digit=lambda d, n: d, larger=lambda d, n: d >= n)
    },
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "head", ["table", pytest.param("regression", marks=pytest.mark.slow)]
)
def test_file_says_its_task_preset_and_version(format, task, head, tmp_path):
    config = Config(preset="mine", head=head, **TASKS[task], **TINY)
    path = export(build_model(config), tmp_path, format).path
    opened = open_model(path)
    assert opened.task == config.task
    assert list(opened.task) == list(config.task)
    assert opened.info.preset == "mine"
    assert opened.info.version == keras_mnist_sum.__version__
    # What it says is believed, not what somebody else says.
    other = "absolute" if task == "signed" else "signed"
    with pytest.raises(InputError, match="`difference` is for a file"):
        open_model(path, difference=other)


def without_metadata(model):
    """The same model, as others build theirs."""
    inputs = {
        name: keras.Input(x.shape[1:], name=name)
        for name, x in model.input.items()
    }
    features = keras.layers.Concatenate()(
        [keras.layers.Flatten()(inputs["image"]), inputs["number"]]
    )
    return keras.Model(
        inputs,
        {
            name: keras.layers.Dense(x.shape[-1], name=name)(features)
            for name, x in model.output.items()
        },
    )


def test_file_of_others_is_taken_for_the_default_task_or_what_is_said(tmp_path):
    for difference in ("absolute", "signed"):
        path = tmp_path / f"{difference}.keras"
        model = build_model(Config(difference=difference, **TINY))
        without_metadata(model).save(path)
    assert open_model(tmp_path / "absolute.keras").task == Task.named()
    signed = tmp_path / "signed.keras"
    with pytest.raises(InputError, match="--difference"):
        open_model(signed)
    opened = open_model(signed, difference="signed")
    assert opened.task == Task.named(difference="signed")
    assert opened.info is None


def test_run_directory_says_what_its_model_is(tmp_path):
    config = Config(difference="signed", head="regression", **TINY)
    without_metadata(build_model(config)).save(tmp_path / "model.keras")
    (tmp_path / "config.json").write_text(config.to_json())
    opened = open_model(tmp_path)
    assert opened.task == config.task and opened.config == config


def test_model_of_the_first_edition_still_opens(tmp_path):
    """Its layers had other names, and its config other fields."""
    model = build_model(Config(test_time_shift=1, **TINY))
    path = tmp_path / "model.keras"
    model.save(path)
    renamed = {
        "AugmentByShifts": "ShiftedCopies",
        "MeanOverShifts": "MeanOfCopies",
        "keras_mnist_sum.models.layers": "keras_mnist_sum.layers",
    }
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    text = members["config.json"].decode()
    for new, old in renamed.items():
        assert new in text
        text = text.replace(new, old)
    members["config.json"] = text.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    config = json.loads(Config(**TINY).to_json())
    for name in ("outputs", "custom_task", "epochs", "test_time_shift"):
        del config[name]
    config |= {"average_shift": 1, "supervise": "digit,sum,difference"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    opened = open_model(tmp_path)
    assert opened.config.test_time_shift == 1
    images = np.random.default_rng(0).random((3, 28, 28, 1), "float32")
    pairs = {"image": images, "number": np.eye(10, dtype="float32")[:3]}
    expected = model.predict(pairs, verbose=0)
    for name, predictions in opened.predict(pairs).items():
        np.testing.assert_allclose(predictions, expected[name], atol=1e-6)


@pytest.mark.parametrize(
    "metadata",
    ["[]", "{", '{"task": {}}', '{"task": {"digit": 3}}', "null"],
)
def test_rejects_damaged_metadata(tmp_path, metadata):
    path = export(build_model(Config(**TINY)), tmp_path, "litert").path
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"PK\x03\x04")])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("keras_mnist_sum.json", metadata)
    with pytest.raises(InputError, match="Received:"):
        open_model(path)


@keras.saving.register_keras_serializable(package="tests")
class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_file_with_a_layer_of_ones_own_opens_once_that_is_allowed(tmp_path):
    model = build_model(Config(**TINY))
    digit = Doubled(name="doubled")(model.output["digit"])
    digit = keras.layers.Rescaling(0.5, name="halved")(digit)
    model = keras.Model(model.input, {**model.output, "digit": digit})
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="allow_layer"):
        check_loadable(model)
    with pytest.raises(InputError, match="Doubled"):
        open_model(tmp_path / "model.keras")
    allow_layer(Doubled)
    check_loadable(model)
    assert open_model(tmp_path / "model.keras").task == Task.named()


def test_folder_in_a_run_is_never_a_program(tmp_path):
    """A run is opened by its config and its model alone."""
    config = Config(**TINY)
    build_model(config).save(tmp_path / "model.keras")
    (tmp_path / "config.json").write_text(config.to_json())
    export(build_model(config), tmp_path / "other", "saved_model")
    (tmp_path / "other" / "saved_model" / "1").rename(tmp_path / "7")
    assert open_model(tmp_path).keras_model is not None
