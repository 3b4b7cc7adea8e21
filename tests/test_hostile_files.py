"""Files that are damaged, random or made to do harm are refused in a line.

Each reader gets 200 inputs, 2,000 in CI: most are a whole file with some
changes, with a checksum that fits where there is one. No input may crash, hang
or ask for much memory.
"""

import faulthandler
import gzip
import hashlib
import io
import json
import os
import time
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import array_files
from keras_mnist_sum.data import sources
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import keras_file
from keras_mnist_sum.formats import litert_file
from keras_mnist_sum.formats import onnx_file
from keras_mnist_sum.inference.pictures import to_mnist
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.info import ModelInfo
from keras_mnist_sum.models.layers import ConditionalTable
from keras_mnist_sum.training import checkpoints
from keras_mnist_sum.utils import environment
from tests.data.test_sources import idx

LARGEST = 2**20
CLEAR_REFS = Path("/proc/self/clear_refs")


def inputs(most=2000):
    """Draws, the same in every run: 200 or, in CI, 2,000, but no more than
    `most`."""
    return settings(
        max_examples=min(int(os.environ.get("INPUTS", 200)), most),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def damaged(draw, content):
    """`content` with some bytes changed, its end missing, or more at it."""
    content = bytearray(content)
    end = draw(st.sampled_from([64, 512, len(content)]))
    places = st.integers(0, min(end, len(content)) - 1)
    values = st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
    for place, value in draw(st.lists(st.tuples(places, values), max_size=9)):
        content[place] = value
    kind = draw(st.integers(0, 9))
    if kind == 0:
        content = content[: draw(st.integers(0, len(content)))]
    elif kind == 1:
        content += draw(st.binary(max_size=20))
    return bytes(content)


def files(content):
    """Random bytes, and `content` damaged."""
    return st.binary(max_size=200) | damaged(content)


def places_in(tree, path=()):
    """The paths to all parts of JSON, without the whole."""
    children = {dict: lambda: tree.items(), list: lambda: enumerate(tree)}
    for key, child in children.get(type(tree), tuple)():
        yield (*path, key)
        yield from places_in(child, (*path, key))


JSON_VALUES = st.sampled_from(
    [
        *(None, True, 0, -1, 1, 19, 10**6, 10**12, -(10**12), 1e308, 1.5),
        *(float("nan"), 10**400),
        *("", "x", "image", "digit", "relu", "float64", "/etc/passwd"),
        *("Lambda", "eval", "os.system", "builtins", "keras.layers"),
        *([], {}, [1] * 5, [10**9, 10**9], {"class_name": "Lambda"}),
    ]
)


@st.composite
def changed(draw, tree):
    """JSON with some of its parts removed or replaced."""
    tree = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places_in(tree)) or [(0,)]))
        parent = tree
        for key in way:
            parent = parent[key]
        if isinstance(parent, dict) and draw(st.integers(0, 5)) == 0:
            del parent[last]
        elif parent:
            parent[last] = json.loads(json.dumps(draw(JSON_VALUES)))
    return tree


@pytest.fixture(autouse=True)
def memory_stays():
    """No test of this file makes the process larger by 400 MB."""
    if not CLEAR_REFS.exists():  # This system does not tell the peak.
        yield
        return
    CLEAR_REFS.write_text("5")  # The peak starts again from what is used now.
    before = peak_memory()
    yield
    assert peak_memory() - before < 400e6


@pytest.mark.parametrize(
    "limit, read",
    [
        ("formats.model_file._LARGEST_FILE", keras_file.open_file),
        ("training.checkpoints._LARGEST", checkpoints.read),
        ("inference.image_files._LARGEST_FILE", to_mnist),
        ("formats.model_file._LARGEST_FILE", onnx_file.open_file),
        ("formats.model_file._LARGEST_FILE", litert_file.open_file),
    ],
)
def test_rejects_too_large_file_without_reading_it(
    limit, read, tmp_path, monkeypatch
):
    path = tmp_path / "file.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("anything", "x")
    monkeypatch.setattr(f"keras_mnist_sum.{limit}", 10)
    with pytest.raises(InputError, match="it is too large"):
        read(path)


def peak_memory():
    """Bytes."""
    status = Path("/proc/self/status").read_text()
    [line] = [x for x in status.splitlines() if x.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


def read(reader, *arguments):
    """Whether the reader takes it; it may refuse it, in a line and soon."""
    begun = time.monotonic()
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        reader(*arguments)
        return True
    except ValueError as error:
        assert "\n" not in str(error)
        return False
    finally:
        faulthandler.cancel_dump_traceback_later()
        assert time.monotonic() - begun < 5


IDX = idx(np.arange(2 * 28 * 28, dtype="uint8").reshape(2, 28, 28))


@inputs()
@given(content=files(IDX))
def test_any_idx_file_is_read_or_refused(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "idx"
    path.write_bytes(content)
    read(array_files.read_idx, path, 3, LARGEST)


@inputs()
@given(content=files(gzip.compress(IDX)))
def test_any_compressed_idx_file_is_read_or_refused(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "idx.gz"
    path.write_bytes(content)
    read(array_files.read_idx, path, 3, LARGEST)


def archive(contents, kind=zipfile.ZIP_STORED):
    """A zip archive of `contents`, by name, with the right checksums."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as writer:
        for name, content in contents.items():
            writer.writestr(name, content)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


NPY = npy(np.arange(60, dtype="uint8").reshape(3, 4, 5))


@inputs()
@given(content=files(archive({"x.npy": NPY}, zipfile.ZIP_DEFLATED)))
def test_any_npz_is_read_or_refused(content):
    read(array_files.read_npz, io.BytesIO(content), ["x"], LARGEST)


@inputs()
@given(content=files(NPY))
def test_any_array_in_an_npz_is_read_or_refused(content):
    content = archive({"x.npy": content})
    read(array_files.read_npz, io.BytesIO(content), ["x"], LARGEST)


@pytest.mark.parametrize(
    "why, header",
    [
        ("the size it announces", "'<f8', 'shape': (1000000, 1000000)"),
        ("the size it announces", "'<f8', 'shape': (-1, -8)"),
        ("the size it announces", "'|V2000000000', 'shape': (5,)"),
        ("Python objects", "'|O', 'shape': (8,)"),
    ],
)
def test_rejects_array_that_claims_too_much(why, header):
    text = f"{{'descr': {header}, 'fortran_order': False}}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
    content = archive({"x.npy": content + text.encode() + bytes(64)})
    with pytest.raises(ValueError, match=why):
        array_files.read_npz(io.BytesIO(content), ["x"], LARGEST)


def test_rejects_zip_bomb(tmp_path):
    content = archive({"x.npy": bytes(2**22)}, zipfile.ZIP_DEFLATED)
    assert len(content) < 2**13
    with pytest.raises(ValueError, match="it is too large"):
        array_files.read_npz(io.BytesIO(content), ["x"], LARGEST)
    path = tmp_path / "idx.gz"
    path.write_bytes(gzip.compress(IDX[:16] + bytes(2**26)))
    with pytest.raises(InputError, match="more found"):
        array_files.read_idx(path, 3, LARGEST)


CHECKPOINT = {
    "weights.0": np.arange(6, dtype="float32"),
    "optimizer.0": np.array(3),
    "notes": np.array(json.dumps({"step": 3, "seconds": 1.0})),
}


@inputs()
@given(name=st.sampled_from(list(CHECKPOINT)), data=st.data())
def test_any_checkpoint_is_read_or_refused(name, data, tmp_path_factory):
    """The checksum keeps out what is damaged; here it fits."""
    contents = {f"{key}.npy": npy(x) for key, x in CHECKPOINT.items()}
    contents[f"{name}.npy"] = data.draw(files(contents[f"{name}.npy"]))
    folder = tmp_path_factory.getbasetemp()
    read(checkpoints.read, write_checkpoint(folder, archive(contents)))


def write_checkpoint(folder, content):
    digest = hashlib.sha256(content).hexdigest().encode()
    path = folder / "step-1.ckpt"
    path.write_bytes(checkpoints._MAGIC + digest + b"\n" + content)
    return path


JSON_READERS = {
    Config.from_json: json.loads(Config().to_json()),
    environment.drift: json.loads(environment.to_json()),
    ModelInfo.from_json: ModelInfo(task.Task.named()).to_dict(),
}


@pytest.mark.parametrize(
    "reader", JSON_READERS, ids=["config", "environment", "model"]
)
@inputs()
@given(data=st.data())
def test_any_json_is_read_or_refused(reader, data):
    whole = changed(JSON_READERS[reader]).map(json.dumps)
    read(reader, data.draw(whole | st.text(max_size=50)))


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


def test_large_picture_of_16_bits_takes_little_memory():
    """34 MB it has itself; as floats it would have 134, several times."""
    file = io.BytesIO()
    gray = np.zeros((4096, 4096), "uint16")
    gray[1000:3000, 2000:2200] = 50_000
    Image.fromarray(gray).save(file, "PNG", compress_level=1)
    del gray
    assert len(file.getvalue()) < 2**20
    assert to_mnist(file.getvalue()).any()


def test_rejects_weights_under_many_names(model_file, load):
    """They would count many times, and groups in groups take for ever."""
    file = io.BytesIO(model_file["model.weights.h5"])
    with h5py.File(file, "r+") as weights:
        for number in range(30):
            group = weights.create_group(f"g{number}")
            group["a"] = group["b"] = weights.get(f"g{number - 1}", weights)
    with pytest.raises(InputError, match="is a second name"):
        load(archive({**model_file, "model.weights.h5": file.getvalue()}))


def test_rejects_checkpoint_that_unpacks_to_more_than_its_size(tmp_path):
    zeros = {f"{key}.npy": npy(x) for key, x in CHECKPOINT.items()}
    zeros["weights.0.npy"] = npy(np.zeros(10**6))
    path = write_checkpoint(tmp_path, archive(zeros, zipfile.ZIP_DEFLATED))
    with pytest.raises(InputError, match="it is too large"):
        checkpoints.read(path)


def test_rejects_more_labels_than_a_set_may_have(tmp_path):
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        array = np.zeros((1, 28, 28), "u1") if "images" in name else None
        if array is None:
            array = np.zeros(sources.MOST_EXAMPLES + 1, "u1")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    with pytest.raises(InputError, match="its header claims a shape"):
        sources.load_mnist(str(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"x_train": np.array(5)},
        {"y_train": np.array(5)},
        {"x_train": np.zeros(0), "y_train": np.zeros(0)},
        {"x_train": np.zeros((0, 28, 28), "u1"), "y_train": np.zeros(0, "u1")},
    ],
)
def test_rejects_arrays_without_examples(npz, change):
    np.savez(npz, **{**np.load(npz), **change})
    with pytest.raises(InputError, match="Received: .* in the train set"):
        sources.load_mnist(str(npz))


@pytest.mark.parametrize("reader", JSON_READERS)
def test_rejects_deeply_nested_json(reader):
    read(reader, "[" * 100_000)


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
    with pytest.raises(InputError, match="it is no .keras archive"):
        keras_file.open_file(path)
