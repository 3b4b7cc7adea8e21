import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from keras_mnist_sum.data.sources import as_mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError


def idx(array):
    header = struct.pack(
        f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape
    )
    return header + array.tobytes()


@pytest.fixture
def folder(tmp_path, digits):
    """A folder of IDX files, two of them compressed."""
    images, labels = digits
    files = {
        "train-images-idx3-ubyte": idx(images),
        "train-labels-idx1-ubyte": idx(labels),
        "t10k-images.idx3-ubyte.gz": gzip.compress(idx(images[:20])),
        "t10k-labels.idx1-ubyte.gz": gzip.compress(idx(labels[:20])),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def write_npz(path, digits, **changes):
    images, labels = digits
    arrays = {
        "x_train": images,
        "y_train": labels,
        "x_test": images[:20],
        "y_test": labels[:20],
        **changes,
    }
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return str(path)


def is_as_made(mnist, digits):
    images, labels = digits
    np.testing.assert_array_equal(mnist.train_images, images)
    np.testing.assert_array_equal(mnist.train_labels, labels)
    np.testing.assert_array_equal(mnist.test_images, images[:20])
    np.testing.assert_array_equal(mnist.test_labels, labels[:20])


def test_idx_folder_is_read_compressed_or_not(folder, digits):
    mnist = load_mnist(str(folder))
    is_as_made(mnist, digits)
    assert mnist.source == str(folder)


def test_npz_is_read(tmp_path, digits):
    path = write_npz(tmp_path / "mnist.npz", digits)
    is_as_made(load_mnist(path), digits)


def test_npz_with_columns_first_is_read(tmp_path, digits):
    """As MATLAB has them, and EMNIST."""
    columns_first = np.asfortranarray(digits[0])
    path = write_npz(tmp_path / "mnist.npz", digits, x_train=columns_first)
    mnist = load_mnist(path)
    is_as_made(mnist, digits)
    split = mnist.split(0.2)
    for array in (mnist.train_images, split.images, split.validation_images):
        assert array.flags.c_contiguous


def test_sample_has_4000_and_1000_images_with_as_many_of_each_digit():
    mnist = load_mnist("sample")
    assert mnist.train_images.shape == (4000, 28, 28)
    assert mnist.test_images.shape == (1000, 28, 28)
    assert np.all(np.bincount(mnist.train_labels) == 400)
    assert np.all(np.bincount(mnist.test_labels) == 100)
    training = {image.tobytes() for image in mnist.train_images}
    assert not any(image.tobytes() in training for image in mnist.test_images)
    assert mnist.train_images.max() == 255


@pytest.mark.parametrize(
    "path, message",
    [
        ("nowhere", "which does not exist"),
        ("arrays", "which no file holds"),
        (".", "where there is none"),
    ],
)
def test_rejects_path_without_data(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        load_mnist(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:10],
        lambda content: b"",
        lambda content: content + b"x",
        lambda content: b"\x00\x00\x08\x01" + content[4:],
        lambda content: content[:4] + b"\xff\xff\xff\xff" + content[8:],
        lambda content: content[:8] + b"\x7f\xff\xff\xff" + content[12:],
        lambda content: content[:4] + struct.pack(">3I", 60000, 1024, 1024),
        lambda content: gzip.compress(content)[:-9],
    ],
)
def test_rejects_damaged_idx_file(folder, damage):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="Received: .*train-images"):
        load_mnist(str(folder))


@pytest.mark.parametrize("keep", [3, 12, -20, -1])
def test_rejects_truncated_gzip_file(folder, keep):
    path = folder / "t10k-labels.idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="Received: .*t10k-labels"):
        load_mnist(str(folder))


def test_rejects_corrupted_gzip_file(folder):
    path = folder / "t10k-images.idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="Received: .*t10k-images"):
        load_mnist(str(folder))


@pytest.mark.parametrize("keep", [0, 100, 5000, -30])
def test_rejects_truncated_npz(tmp_path, digits, keep):
    path = tmp_path / "mnist.npz"
    write_npz(path, digits)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="Not a whole file of MNIST. Received"):
        load_mnist(str(path))


def test_rejects_arrays_that_are_not_mnist(tmp_path, digits):
    images, labels = digits
    wrong = {
        "but no test labels": {"y_test": None},
        "0-9. Received: 0 to 10": {"y_train": labels + (labels == 9)},
        r"\(50, 28, 27\) in the train set": {"x_train": images[:, :, :27]},
        "0-1: undo .*-0.5 to 0.5 in": {"x_test": images[:20] / 255.0 - 0.5},
        "50 images and 49 labels": {"y_train": labels[:-1]},
        "holds Python objects": {"x_train": np.array([{"a": "pickle"}])},
    }
    for message, changes in wrong.items():
        path = write_npz(tmp_path / "mnist.npz", digits, **changes)
        with pytest.raises(InputError, match=message):
            load_mnist(path)


@pytest.mark.parametrize("data", [None, 5, ["sample"], np.zeros(3)])
def test_rejects_what_names_no_source(data):
    with pytest.raises(InputError, match="tfds, sample or a path. Received: "):
        load_mnist(data)


def test_path_may_be_text_bytes_or_a_path(tmp_path, digits):
    path = write_npz(tmp_path / "mnist.npz", digits)
    for same in (path, os.fsencode(path), Path(path)):
        is_as_made(load_mnist(same), digits)
        is_as_made(as_mnist(same), digits)


@pytest.mark.parametrize("path", ["", "a\0b", b"a\0b", "x" * 300, Path("\0")])
def test_rejects_what_no_path_can_be(path):
    for arguments in ((path,), ("tfds", path)):
        if arguments == ("tfds", ""):  # That is the default.
            continue
        with pytest.raises(InputError, match="`data(_dir)?` must .*Received: "):
            load_mnist(*arguments)


def test_source_or_arrays_are_taken_alike(digits, tmp_path):
    path = write_npz(tmp_path / "mnist.npz", digits)
    images, labels = digits
    is_as_made(as_mnist(tmp_path / "mnist.npz"), digits)
    is_as_made(as_mnist(path), digits)
    is_as_made(as_mnist((images, labels, images[:20], labels[:20])), digits)
    with pytest.raises(InputError, match="`data` must be an `Mnist`"):
        as_mnist(5)


def test_rejects_data_dir_with_another_source():
    with pytest.raises(InputError, match="Received: data='sample'"):
        load_mnist("sample", data_dir="somewhere")
