"""`.keras` files that are damaged or made to do harm are refused in a line."""

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import keras_file
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.layers import ConditionalTable
from tests.hostile import archive
from tests.hostile import changed
from tests.hostile import files
from tests.hostile import inputs
from tests.hostile import memory_stays
from tests.hostile import read

stays = memory_stays(400e6)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """The members of a small `.keras` file that keeps the contract."""
    image = keras.Input((28, 28, 1), name="image")
    number = keras.Input((10,), name="number")
    digit = keras.layers.Dense(10, "softmax", name="digit")(
        keras.layers.GlobalAveragePooling2D()(image)
    )
    answers = {
        name: ConditionalTable(output.num_classes, name=name)([digit, number])
        for name, output in task.Task.named().items()
        if name != "digit"
    }
    path = tmp_path_factory.mktemp("model") / "model.keras"
    inputs = {"image": image, "number": number}
    keras.Model(inputs, {"digit": digit, **answers}).save(path)
    with zipfile.ZipFile(path) as reader:
        return {name: reader.read(name) for name in reader.namelist()}


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Loads the `.keras` file with these contents."""
    path = tmp_path_factory.mktemp("load") / "model.keras"

    def load(content):
        path.write_bytes(content)
        return keras_file.open_file(path).keras_model

    return load


@inputs()
@given(data=st.data())
def test_any_model_file_is_read_or_refused(data, model_file, load):
    read(load, data.draw(files(archive(model_file))))


def test_changed_bytes_change_no_answer(model_file, load):
    """They are refused, or belong to what no answer depends on."""
    whole = archive(model_file)
    arrays = {
        "image": np.ones((2, 28, 28, 1), "float32"),
        "number": np.eye(10, dtype="float32")[:2],
    }
    right = load(whole).predict_on_batch(arrays)
    weights = whole.index(model_file["model.weights.h5"])
    others = np.ones(len(whole), bool)
    others[weights : weights + len(model_file["model.weights.h5"])] = False
    opened = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        content = bytearray(whole)
        places = np.flatnonzero(others) if seed % 2 else len(whole)
        for place in rng.choice(places, 1 + seed % 3):
            content[place] = rng.integers(256)
        try:
            answers = load(bytes(content)).predict_on_batch(arrays)
        except InputError as error:
            assert "\n" not in str(error)
            continue
        opened += 1
        for name, array in right.items():
            np.testing.assert_array_equal(answers[name], array)
    assert 0 < opened < 50


@pytest.mark.slow
@inputs()
@given(data=st.data())
def test_any_weights_in_a_model_file_are_read_or_refused(
    data, model_file, load
):
    weights = data.draw(files(model_file["model.weights.h5"]))
    read(load, archive({**model_file, "model.weights.h5": weights}))


@pytest.mark.slow
@inputs()
@given(data=st.data())
def test_any_architecture_in_a_model_file_is_read_or_refused(
    data, model_file, load
):
    config = data.draw(changed(json.loads(model_file["config.json"])))
    config = json.dumps(config)
    read(load, archive({**model_file, "config.json": config}))


def test_rejects_model_with_more_weights_than_its_file_holds(model_file, load):
    """Before any of them is asked for: these would take 80 GB."""
    config = json.loads(model_file["config.json"])
    [digit] = [x for x in config["config"]["layers"] if x["name"] == "digit"]
    digit["config"]["units"] = 10**10
    del digit["build_config"]
    config = json.dumps(config)
    with pytest.raises(InputError, match="80,000,011,600 bytes, and it holds"):
        load(archive({**model_file, "config.json": config}))
    assert load(archive(model_file)).count_params() > 0


@pytest.mark.parametrize(
    "why, make",
    [
        (
            "not stored plainly",
            lambda x: x.create_dataset("1", (10**6,) * 2, chunks=True),
        ),
        (
            "not stored plainly",
            lambda x: x.create_dataset("1", data=np.zeros(99), compression=9),
        ),
        (
            "not stored plainly",
            lambda x: x.create_dataset("1", (4,), "u1", external="/etc/passwd"),
        ),
        ("not whole", lambda x: x.create_dataset("1", (10**6,) * 2)),
        (
            "a link",
            lambda x: x.__setitem__("1", h5py.ExternalLink("/etc/x", "/")),
        ),
        ("a link", lambda x: x.__setitem__("1", h5py.SoftLink("/layers"))),
    ],
)
def test_rejects_weights_outside_of_the_file(model_file, load, why, make):
    file = io.BytesIO(model_file["model.weights.h5"])
    with h5py.File(file, "r+") as weights:
        group = weights["layers/dense/vars"]
        del group["1"]
        make(group)
    with pytest.raises(InputError, match=f"1 in its weights is {why}"):
        load(archive({**model_file, "model.weights.h5": file.getvalue()}))


@pytest.mark.parametrize(
    "part",
    [
        # Called as it is built, with arguments from the file.
        {
            "module": "keras.src.ops.core",
            "class_name": "Switch",
            "config": {"name": "extra"},
            "registered_name": None,
            "name": "extra",
            "inbound_nodes": [],
        },
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {}},
        {"class_name": "Dense", "config": {}},
        {"class_name": "function", "module": "keras.layers", "config": "Dense"},
        {"class_name": "__tensor__", "config": {"value": 1, "dtype": "int8"}},
        {
            "module": "keras.layers",
            "class_name": "Dense",
            "registered_name": "somebody>Dense",
        },
    ],
    ids=lambda part: part["class_name"],
)
def test_rejects_unlisted_parts_of_a_model(model_file, load, part):
    config = json.loads(model_file["config.json"])
    config["config"]["layers"].append(part)
    config = json.dumps(config)
    with pytest.raises(InputError, match="it has a part"):
        load(archive({**model_file, "config.json": config}))


@pytest.mark.parametrize(
    "name, value, why",
    [
        ("num_classes", 10**9, "Cannot read this as a Keras model"),
        ("num_classes", [], "Cannot read this as a Keras model"),
        ("logit_scale", "x", "This model cannot be run"),
    ],
)
def test_rejects_layers_with_invalid_arguments(
    model_file, load, name, value, why
):
    """It is not left to the first prediction."""
    config = json.loads(model_file["config.json"])
    [table] = [x for x in config["config"]["layers"] if x["name"] == "sum"]
    table["config"][name] = value
    members = {**model_file, "config.json": json.dumps(config)}
    with pytest.raises(InputError, match=why):
        load(archive(members))


def test_rejects_weights_under_many_names(model_file, load):
    """They would count many times, and groups in groups take for ever."""
    file = io.BytesIO(model_file["model.weights.h5"])
    with h5py.File(file, "r+") as weights:
        for number in range(30):
            group = weights.create_group(f"g{number}")
            group["a"] = group["b"] = weights.get(f"g{number - 1}", weights)
    with pytest.raises(InputError, match="is a second name"):
        load(archive({**model_file, "model.weights.h5": file.getvalue()}))


def test_rejects_model_file_with_missing_weights(model_file, load):
    file = io.BytesIO(model_file["model.weights.h5"])
    with h5py.File(file, "r+") as weights:
        del weights["layers/dense"]
    with pytest.raises(InputError, match="Cannot read"):
        load(archive({**model_file, "model.weights.h5": file.getvalue()}))


@pytest.mark.parametrize(
    "change, why",
    [
        ({"assets/x": b"x"}, "other files"),
        ({"config.json": b" " * 2**21}, "config.json is too large"),
        ({"config.json": b"[" * 2**19}, "RecursionError"),
    ],
)
def test_rejects_extra_content_in_a_model_file(model_file, load, change, why):
    with pytest.raises(InputError, match=why):
        load(archive({**model_file, **change}))


def test_rejects_compressed_model_file(model_file, load):
    with pytest.raises(InputError, match="is compressed"):
        load(archive(model_file, zipfile.ZIP_DEFLATED))


def test_rejects_hdf5_model(tmp_path):
    """Above all the old HDF5 models, which Keras reads with less care."""
    path = tmp_path / "model.h5"
    build_model(Config(width=2)).save_weights(tmp_path / "model.weights.h5")
    (tmp_path / "model.weights.h5").rename(path)
    with pytest.raises(InputError, match="it is no Keras file"):
        keras_file.open_file(path)
