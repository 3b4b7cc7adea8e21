"""Files that are damaged, random or made to do harm are refused in a line.

Each reader gets 200 inputs, 2,000 in CI: most are a whole file with some
changes, with a checksum that fits where there is one. No input may crash, hang
or ask for much memory.
"""

import gzip
import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import array_files
from keras_mnist_sum.data import examples
from keras_mnist_sum.data import sources
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import keras_file
from keras_mnist_sum.formats import litert_file
from keras_mnist_sum.formats import onnx_file
from keras_mnist_sum.inference.pictures import to_mnist
from keras_mnist_sum.models.info import ModelInfo
from keras_mnist_sum.training import checkpoints
from keras_mnist_sum.utils import environment
from tests.data.test_sources import idx
from tests.hostile import archive
from tests.hostile import changed
from tests.hostile import files
from tests.hostile import inputs
from tests.hostile import memory_stays
from tests.hostile import npy
from tests.hostile import read

stays = memory_stays(400e6)


LARGEST = 2**20


@pytest.mark.parametrize(
    "limit, read",
    [
        ("formats.model_file.LARGEST_FILE", keras_file.open_file),
        ("training.checkpoints._LARGEST", checkpoints.read),
        ("utils.image_files._LARGEST_FILE", to_mnist),
        ("formats.model_file.LARGEST_FILE", onnx_file.open_file),
        ("formats.model_file.LARGEST_FILE", litert_file.open_file),
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


def test_large_picture_of_16_bits_takes_little_memory():
    """34 MB it has itself; as floats it would have 134, several times."""
    file = io.BytesIO()
    gray = np.zeros((4096, 4096), "uint16")
    gray[1000:3000, 2000:2200] = 50_000
    Image.fromarray(gray).save(file, "PNG", compress_level=1)
    del gray
    assert len(file.getvalue()) < 2**20
    assert to_mnist(file.getvalue()).any()


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
            array = np.zeros(examples.MOST_EXAMPLES + 1, "u1")
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
