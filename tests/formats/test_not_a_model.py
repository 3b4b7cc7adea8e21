"""What is no model is called by its name, with what to do."""

import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.open import open_model


@pytest.mark.parametrize(
    "name, words",
    [
        ("model.h5", "older format of Keras"),
        ("model.weights.h5", "weights alone"),
        ("frozen.pb", "graph of TensorFlow"),
        ("saved_model.pb", "name its folder"),
        ("model.pt", "another library"),
        ("MODEL.SafeTensors", "another library"),
        ("model.pkl", "is not run"),
        ("step-000000612.ckpt", "finish its run"),
        ("ckpt-1.index", "weights alone"),
        ("ckpt-1.data-00000-of-00001", "weights alone"),
        ("checkpoint", "weights alone"),
        ("arrays.npz", "holds arrays"),
        ("config.json", "name the run directory"),
        ("model.zip", "unpack it"),
        ("seven.png", "is a picture"),
        ("model", "is none of them"),
    ],
)
def test_says_what_a_file_of_another_kind_is(tmp_path, name, words):
    path = tmp_path / "folder" / name
    path.parent.mkdir()
    path.write_bytes(b"anything")
    with pytest.raises(InputError, match=f"{name}', which .*{words}") as raised:
        open_model(path)
    assert "\n" not in str(raised.value)
    path.unlink()
    with pytest.raises(InputError, match="which does not exist"):
        open_model(path)


@pytest.mark.parametrize(
    "start, words",
    [
        (b"PK\x03\x04", "call it .keras"),
        (b"\x1c\0\0\0TFL3", "call it .tflite"),
        (b"\x89HDF\r\n", "older format of Keras"),
    ],
)
def test_says_what_a_file_without_a_suffix_is(tmp_path, start, words):
    (tmp_path / "model").write_bytes(start + b"anything")
    with pytest.raises(InputError, match=words):
        open_model(tmp_path / "model")


@pytest.mark.parametrize(
    "path, words",
    [
        ("", "''"),
        (b"", "b''"),
        (3, "3"),
        ([], r"\[\]"),
        ("https://example.org/model.keras", "download the file"),
        ("nowhere", "does not exist"),
        ("x" * 300, "File name too long"),
        ("a\0b", "it holds a NUL"),
        ("/dev/null", "neither a file nor a folder"),
        ("empty", "is empty"),
        ("loop", "a link to nothing"),
        ("checkpoints", "ckpt-1.index in it is a checkpoint"),
        ("checkpoints/ckpt-1", "is a checkpoint"),
    ],
)
def test_rejects_what_is_no_path_of_a_model(tmp_path, monkeypatch, path, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "ckpt-1.index").touch()
    with pytest.raises(InputError, match=f"Received: .*{words}"):
        open_model(path)
