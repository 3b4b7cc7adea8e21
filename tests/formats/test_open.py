"""Every form of a model says what it is, and opens as that."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_mnist_sum
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import saved_model
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.keras_file import check_loadable
from keras_mnist_sum.formats.open import FORMATS
from keras_mnist_sum.formats.open import format_of
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


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    """A finished run, as far as its model goes."""
    path = tmp_path_factory.mktemp("tiny") / "run"
    config = Config(**TINY)
    export(build_model(config), path, "keras")
    (path / "config.json").write_text(config.to_json())
    return path


@pytest.fixture
def programs(monkeypatch):
    """The SavedModels that are run, none of which is."""
    run = []

    def open_file(path, task=None):
        run.append(path)
        raise InputError("A program was run. Received: it")

    monkeypatch.setattr(saved_model, "open_file", open_file)
    return run


def add_program(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_bytes(b"a program")


def link_model(folder):
    add_program(folder.parent / "program")
    (folder / "model.keras").unlink()
    (folder / "model.keras").symlink_to(folder.parent / "program")


def make_folder_of_both(folder):
    (folder / "config.json").unlink()
    add_program(folder)


def replace_by_pipe(file):
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda run: add_program(run / "7"), None),
        (lambda run: add_program(run), None),
        (lambda run: (run / "model.keras").unlink(), "was not finished"),
        (link_model, "was not finished"),
        (lambda run: replace_by_pipe(run / "model.keras"), "was not finished"),
        (lambda run: (run / "config.json").unlink(), "holds model.keras, sav"),
        (make_folder_of_both, "holds model.keras, sav"),
        (lambda run: replace_by_pipe(run / "config.json"), "is no config"),
        (lambda run: (run / "config.json").write_text("{"), "is no config"),
    ],
)
def test_folder_in_a_run_is_never_a_program(
    tiny_run, programs, tmp_path, monkeypatch, change, message
):
    """A run is opened by its config and its model alone."""
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    add_program(run / "saved_model" / "1")
    change(run)
    monkeypatch.chdir(run)
    if message is None:
        assert open_model(".").keras_model is not None
    else:
        for path in (run, "."):
            with pytest.raises(InputError, match=message):
                open_model(path)
    assert not programs


@pytest.mark.parametrize(
    "folder, place, message",
    [
        ("model.keras", ".", "is a folder, where a file has such a name"),
        ("model.ONNX", "1", "is a folder, where a file has such a name"),
        ("exports", "saved_model/1", "holds saved_model"),
        ("runs", "a/7", "holds a"),
    ],
)
def test_program_that_is_not_named_is_not_run(
    programs, tmp_path, folder, place, message
):
    add_program(tmp_path / folder / place)
    with pytest.raises(InputError, match=message):
        open_model(tmp_path / folder)
    (tmp_path / "versions" / "1").mkdir(parents=True)
    add_program(tmp_path / "versions" / "2")
    (tmp_path / "versions" / "README").touch()
    with pytest.raises(InputError, match="is none of them"):
        open_model(tmp_path / "versions")
    assert not programs


def test_program_that_is_named_is_run_and_said_to_be_one(
    programs, tmp_path, caplog
):
    add_program(tmp_path / "versions" / "1")
    for path in (tmp_path / "versions", tmp_path / "versions" / "1"):
        caplog.clear()
        with pytest.raises(InputError, match="A program was run"):
            open_model(path)
        [record] = caplog.records
        assert record.getMessage() == (
            f"a SavedModel is a program, and TensorFlow runs it: {str(path)!r}"
        )
    assert len(programs) == 2


def test_model_of_a_run_may_be_a_link_to_a_file(tiny_run, tmp_path):
    shutil.copy(tiny_run / "config.json", tmp_path)
    (tmp_path / "model.keras").symlink_to(tiny_run / "model.keras")
    assert open_model(tmp_path).config == Config(**TINY)


def test_unpacked_keras_file_is_named_and_opens_once_packed_again(
    tiny_run, tmp_path
):
    with zipfile.ZipFile(tiny_run / "model.keras") as archive:
        archive.extractall(tmp_path)
        names = archive.namelist()
    with pytest.raises(InputError, match="unpacked .keras.* zip -0 ") as raised:
        open_model(tmp_path)
    listed = str(raised.value).rpartition("zip -0 ")[2].split()
    assert listed[0] == "model.keras" and set(listed[1:]) == set(names)
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for name in listed[1:]:
            archive.write(tmp_path / name, name)
    assert open_model(tmp_path / "model.keras").task
    (tmp_path / "model.weights.h5").unlink()
    (tmp_path / "model.keras").unlink()
    with pytest.raises(InputError, match="without model.weights.h5"):
        open_model(tmp_path)


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_takes_any_kind_of_path(tiny_run, kind):
    assert format_of(kind(str(tiny_run))) == FORMATS["keras"]
    assert format_of(kind(str(tiny_run / "model.keras"))) == FORMATS["keras"]
