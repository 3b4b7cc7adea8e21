"""What is no model is refused by its size and a few bytes: it is not read."""

import os

import numpy as np
import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import trial
from keras_mnist_sum.formats.open import open_model
from tests.hostile import archive
from tests.hostile import grows_by_less_than

HDF5 = b"\x89HDF\r\n\x1a\n"


@pytest.fixture(autouse=True)
def nothing_is_tried(monkeypatch):
    """Nor hashed."""
    monkeypatch.delenv(trial.TRUST)
    monkeypatch.setattr(trial, "_digest", None)


def message(path):
    with grows_by_less_than(30e6), pytest.raises(InputError) as raised:
        open_model(path)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("suffix", ["onnx", "tflite", "keras", "pb", "h5", ""])
@pytest.mark.parametrize("size", [2**28, 2**30])
def test_large_file_of_zeros_is_not_read(tmp_path, suffix, size):
    path = tmp_path / f"model.{suffix}"
    path.touch()
    os.truncate(path, size)
    assert f"Received: '{path}'" in message(path)


@pytest.mark.parametrize(
    "suffix, start",
    [
        ("tflite", b"\x1c\0\0\0TFL3"),
        ("onnx", b"\x08\x09\x3a\xfb\xff\xff\xff\x03"),  # A graph of the rest
        ("keras", b"PK\3\4"),
    ],
)
def test_larger_file_than_any_model_is_not_read(tmp_path, suffix, start):
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(start)
    os.truncate(path, 2**30)
    assert "it is too large" in message(path)


CONTENTS = {
    "nothing": b"",
    "zeros": bytes(10**5),
    "text": b'BBBBaaaa: not a model, (8) of 2 "quoted" words\n' * 2000,
    "random": np.random.default_rng(0).bytes(10**5),
    "endless number": b"\xff" * 10**5,
    "graph that is cut": b"\x08\x09\x3a\x90\x4e" + bytes(9999),
    "no graph": b"\x08\x09\x42\x02\x10\x12",
    "another format": b"\x1c\0\0\0ABCD" + bytes(999),
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(999),
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("suffix", ["onnx", "tflite", "keras"])
def test_content_of_another_kind_is_told_by_its_first_bytes(
    tmp_path, suffix, content
):
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(CONTENTS[content])
    assert "it is no " in message(path)


def test_weights_of_another_kind_are_told_by_their_first_bytes(tmp_path):
    members = {"config.json": b"{}", "metadata.json": b"{}"}
    path = tmp_path / "model.keras"
    path.write_bytes(archive({**members, "model.weights.h5": b"anything"}))
    assert "model.weights.h5 is no HDF5 file" in message(path)
    path.write_bytes(archive({**members, "model.weights.h5": HDF5}))
    with pytest.raises(TypeError):  # It would be tried.
        open_model(path)
