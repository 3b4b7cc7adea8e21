"""A prepared set whose records were made to do harm is refused in a line."""

import os

import pytest
import tensorflow as tf

from keras_mnist_sum.data import tfds_mnist
from keras_mnist_sum.errors import InputError
from tests.hostile import grows_by_less_than
from tests.hostile import png


def write(folder, pictures):
    path = folder / "mnist-train.tfrecord-00000-of-00001"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for picture in pictures:
            features = tf.train.Features(
                feature={
                    "image": tf.train.Feature(
                        bytes_list=tf.train.BytesList(value=[picture])
                    ),
                    "label": tf.train.Feature(
                        int64_list=tf.train.Int64List(value=[3])
                    ),
                }
            )
            example = tf.train.Example(features=features)
            writer.write(example.SerializeToString())
    return path


def check_refused(folder):
    with grows_by_less_than(150e6), pytest.raises(InputError) as raised:
        tfds_mnist.read(folder, "train")
    assert "Received: " in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "picture",
    [
        png(20_000, 20_000, 0),
        png(28, 20_000, 0),
        b"GIF89a\xff\xff\xff\xff" + bytes(99),
        b"\xff\xd8\xff\xe0" + bytes(99),
        b"",
    ],
    ids=["PNG", "narrow PNG", "GIF", "JPEG", "nothing"],
)
def test_picture_of_another_size_or_kind_is_not_decoded(
    tmp_path, picture, monkeypatch
):
    decode, decoded = tf.io.decode_png, []

    def noted(content, **options):
        tf.py_function(lambda x: decoded.append(x.numpy()), [content], [])
        return decode(content, **options)

    monkeypatch.setattr(tf.io, "decode_png", noted)
    write(tmp_path, [picture] * 12)
    check_refused(tmp_path)
    assert set(decoded) == {b""}


def test_large_file_of_records_is_not_read(tmp_path):
    os.truncate(write(tmp_path, []), 2**30)
    check_refused(tmp_path)


def test_empty_records_are_refused(tmp_path):
    """There might be any number."""
    write(tmp_path, []).write_bytes(bytes(2**20))
    check_refused(tmp_path)


def test_more_records_than_mnist_has_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_mnist, "COUNTS", {"train": 9, "test": 9})
    monkeypatch.setattr(tf.io, "decode_png", None)
    write(tmp_path, [b"x"] * 10)
    check_refused(tmp_path)
