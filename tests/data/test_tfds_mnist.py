"""The set that tensorflow-datasets prepared is found, read and checked."""

import errno
import os
import socket

import numpy as np
import pytest

from keras_mnist_sum.data import cache
from keras_mnist_sum.data import tfds_mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.data.sources import look_up_ahead
from keras_mnist_sum.errors import InputError
from tests.data.test_sources import is_as_made


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, digits):
    """A data_dir as tensorflow-datasets prepares it, only smaller."""
    import tensorflow_datasets as tfds

    images, labels = digits
    examples = [
        {"image": image[..., np.newaxis], "label": int(label)}
        for image, label in zip(images, labels, strict=True)
    ]
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(28, 28, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
    )
    data_dir = tmp_path_factory.mktemp("data_dir")
    folder = data_dir / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    writer = tfds.core.SequentialWriter(
        tfds.core.DatasetInfo(
            builder=tfds.core.DatasetIdentity(
                name="mnist",
                version=tfds.core.Version("3.0.1"),
                data_dir=str(folder),
                module_name="",
            ),
            features=features,
        ),
        max_examples_per_shard=100,
    )
    writer.initialize_splits(["train", "test"])
    writer.add_examples({"train": examples, "test": examples[:20]})
    writer.close_all()
    return data_dir


@pytest.fixture
def small_counts(monkeypatch):
    monkeypatch.setattr(tfds_mnist, "COUNTS", {"train": 50, "test": 20})


@pytest.mark.parametrize("data", ["tfds", "auto"])
def test_prepared_set_is_read_without_a_network(
    prepared, digits, small_counts, monkeypatch, data
):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: 1 / 0)
    mnist = load_mnist(data, str(prepared))
    is_as_made(mnist, digits)
    assert mnist.source == "tfds" and not mnist.warning
    assert mnist.data_dir == str(prepared)


def test_prepared_set_is_decoded_once(
    prepared, digits, small_counts, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load_mnist("tfds", str(prepared))
    monkeypatch.setattr(tfds_mnist, "_decode", lambda *_: 1 / 0)
    is_as_made(load_mnist("tfds", str(prepared)), digits)


@pytest.mark.parametrize("data", ["tfds", "auto"])
def test_prepared_set_is_read_ahead(
    prepared, digits, small_counts, monkeypatch, tmp_path, data
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load_mnist("tfds", str(prepared))
    look_up_ahead(data, str(prepared))
    monkeypatch.setattr(tfds_mnist.cache, "_look_up", lambda *_: 1 / 0)
    is_as_made(load_mnist(data, str(prepared)), digits)


@pytest.mark.parametrize("data", ["tfds", "auto", "sample", "/none", "x://y"])
@pytest.mark.parametrize("folder", [None, "", "/none", "x://y", "~nobody/x"])
def test_reading_ahead_says_nothing_where_nothing_can_be_read(
    monkeypatch, tmp_path, data, folder
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    look_up_ahead(data, folder)


@pytest.mark.parametrize(
    "trouble, reason",
    [
        ("no home", "no home directory"),
        ("forbidden", "Permission denied"),
        ("elsewhere", "only a local folder is read"),
        ("loop", "File exists"),
    ],
)
def test_auto_takes_the_sample_where_the_folder_cannot_be_used(
    tmp_path, tmp_path_factory, monkeypatch, trouble, reason
):
    loop = tmp_path_factory.mktemp("loop")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    data_dir = str(tmp_path)
    if trouble == "no home":
        data_dir = "~nobody-of-that-name/data"
    elif trouble == "forbidden":
        monkeypatch.setattr(tfds_mnist, "find", refuse)
    elif trouble == "elsewhere":
        data_dir = "elsewhere://bucket"
    else:
        data_dir = str(loop / "loop")
        (loop / "loop").symlink_to("loop")
        monkeypatch.setattr(tfds_mnist.downloads, "fetch", lambda *_: None)
    mnist = load_mnist("auto", data_dir)
    assert mnist.source == "sample" and reason in mnist.warning
    with pytest.raises(InputError, match=f"{reason}.*Received: data_dir"):
        load_mnist("tfds", data_dir)
    assert not list(tmp_path.iterdir())


def test_loads_the_test_set_alone(prepared, digits, small_counts):
    mnist = load_mnist("tfds", str(prepared), test_only=True)
    assert len(mnist.train_images) == len(mnist.train_labels) == 0
    np.testing.assert_array_equal(mnist.test_images, digits[0][:20])


def test_rejects_prepared_set_of_another_size(prepared):
    with pytest.raises(InputError, match="60000 train images. Received: 50"):
        load_mnist("tfds", str(prepared))


def test_rejects_damaged_prepared_set(prepared, small_counts, tmp_path_factory):
    import shutil

    damaged = tmp_path_factory.mktemp("damaged")
    shutil.copytree(prepared / "mnist", damaged / "mnist")
    (record,) = damaged.glob("mnist/*/*-train.tfrecord*")
    content = record.read_bytes()
    # TensorFlow ends the process at a record that claims to be very long.
    claim = (2**40).to_bytes(8, "little")
    claim += bytes.fromhex("cd6e1b7f") + bytes(100)
    for other in (content[:-100], claim):
        record.write_bytes(other)
        for data in ("tfds", "auto"):
            with pytest.raises(InputError, match="have it prepared again"):
                load_mnist(data, str(damaged))


@pytest.mark.parametrize("below", ["", "mnist", "mnist/3.0.1"])
@pytest.mark.parametrize("how", ["environment", "data_dir", "data"])
def test_prepared_set_is_found_from_any_of_its_folders(
    prepared, digits, small_counts, monkeypatch, below, how
):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: 1 / 0)
    folder = str(prepared / below)
    if how == "data":
        mnist = load_mnist(folder)
        assert mnist.source == folder and mnist.data_dir is None
    elif how == "data_dir":
        mnist = load_mnist("tfds", folder)
    else:
        monkeypatch.setenv("TFDS_DATA_DIR", folder)
        mnist = load_mnist("auto")
    if how != "data":
        assert mnist.data_dir == str(prepared)
    is_as_made(mnist, digits)


@pytest.mark.parametrize(
    "content", [{"labels": np.zeros(50, "uint8")}, {"images": np.zeros(9)}]
)
def test_cache_of_other_arrays_is_not_taken_for_a_damaged_set(
    prepared, digits, small_counts, monkeypatch, tmp_path, content
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load_mnist("tfds", str(prepared))
    for kept in cache.folder().iterdir():
        np.savez(kept, **content)
    is_as_made(load_mnist("tfds", str(prepared)), digits)


@pytest.mark.parametrize("form", [str, os.fsencode, lambda path: path])
def test_data_dir_may_be_text_bytes_or_a_path(
    prepared, digits, small_counts, form
):
    mnist = load_mnist("tfds", form(prepared))
    is_as_made(mnist, digits)
    assert mnist.data_dir == str(prepared)
