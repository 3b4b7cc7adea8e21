"""Pictures and numbers in every form that has only one meaning."""

import io

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference.pairs import as_pairs
from keras_mnist_sum.inference.pictures import to_mnist

IMAGES = np.zeros((3, 28, 28), "uint8")
IMAGES[:, 4:24, 13:15] = 255  # ones
IMAGES[1, 4:24, 15] = 100
NUMBERS = [3, 4, 5]


def check_pairs(images, numbers, expected_images, expected_numbers, one):
    pictures, found, is_one = as_pairs(images, numbers)
    assert (found, is_one) == (expected_numbers, one)
    seen = [to_mnist(picture) for picture in pictures]
    np.testing.assert_array_equal(seen, expected_images)


@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        iter,
        np.ndarray.tolist,
        lambda x: x[..., np.newaxis],
        lambda x: x[:, np.newaxis],
        lambda x: x.astype("int64"),
        lambda x: x / 255,
        lambda x: x.reshape(3, 784),
        lambda x: pd.DataFrame(x.reshape(3, 784)),
        tf.constant,
        tf.data.Dataset.from_tensor_slices,
        lambda x: [x[0], x[1].tolist(), Image.fromarray(x[2])],
    ],
)
def test_many_pictures_in_every_form(form):
    check_pairs(form(IMAGES), NUMBERS, IMAGES, NUMBERS, False)


@pytest.mark.parametrize(
    "form",
    [
        tuple,
        iter,
        np.array,
        lambda x: np.array(x, "int8")[:, np.newaxis],
        pd.Series,
        lambda x: pd.DataFrame({"number": x}),
        tf.constant,
    ],
)
def test_many_numbers_in_every_form(form):
    check_pairs(IMAGES, form(NUMBERS), IMAGES, NUMBERS, False)


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x,
        lambda x: [x],
        lambda x: x[np.newaxis],
        lambda x: x[np.newaxis, ..., np.newaxis],
        lambda x: x[..., np.newaxis],
        lambda x: x.reshape(784),
        lambda x: x.reshape(1, 784),
        lambda x: x.tolist(),
        memoryview,
        pd.DataFrame,
        lambda x: (x > 0).astype("int64") * 255,
    ],
)
@pytest.mark.parametrize("number", [3, np.int8(3), np.array(3)])
def test_one_picture_and_one_number_in_every_form(form, number):
    image = IMAGES[0]
    check_pairs(form(image), number, [image], [3], True)
    check_pairs(form(image), [number], [image], [3], False)


def test_takes_files_and_their_bytes(tmp_path):
    path = tmp_path / "one.png"
    Image.fromarray(IMAGES[0]).save(path)
    content = path.read_bytes()
    for same in (path, str(path), content, bytearray(content)):
        check_pairs(same, 3, [IMAGES[0]], [3], True)
    check_pairs(io.BytesIO(content), 3, [IMAGES[0]], [3], True)
    with open(path, "rb") as file:
        check_pairs(file, 3, [IMAGES[0]], [3], True)


@pytest.mark.parametrize(
    "images, numbers",
    [
        (IMAGES, 3),
        (IMAGES[..., np.newaxis], 3),
        (list(IMAGES), 3),
        (IMAGES, [3, 4]),
        (IMAGES[0], NUMBERS),
        ([], 3),
        ({"image": IMAGES}, NUMBERS),
        (None, 3),
        (3, 3),
        ([[1, 2], [3]], 3),
        (tf.ragged.constant([[1, 2], [3]]), 3),
        (np.full((28, 28), 300), 3),
        (np.full((28, 28), -1), 3),
        (np.zeros((28, 28), complex), 3),
        (np.zeros((28, 28), "datetime64[s]"), 3),
        (pd.DataFrame({"name": ["x"]}), 3),
    ],
)
def test_rejects_what_has_no_meaning_in_one_line(images, numbers):
    with pytest.raises(InputError, match="Received: ") as raised:
        for picture in as_pairs(images, numbers)[0]:
            to_mnist(picture)
    assert "\n" not in str(raised.value)
