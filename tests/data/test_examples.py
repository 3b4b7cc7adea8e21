"""Arrays in any usual form are the same ones, or are refused in one line."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.data.examples import as_examples
from keras_mnist_sum.data.examples import as_images
from keras_mnist_sum.data.examples import as_labels
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.errors import InputError


class Frame:
    """As the tables and tensors of other libraries are taken by NumPy."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


IMAGES = {
    "itself": lambda x: x,
    "columns first": np.asfortranarray,
    "lists": lambda x: x.tolist(),
    "a list of arrays": list,
    "a table": lambda x: Frame(x.reshape(-1, 784)),
    "a tensor": lambda x: tf.constant(x[..., np.newaxis]),
    "int64": lambda x: x.astype("int64"),
    "float 0-1": lambda x: x / np.float32(255),
    "half 0-1": lambda x: (x / 255).astype("float16"),
    "double 0-1, rows": lambda x: (x / 255).reshape(-1, 784),
    "float 0-255, channel first": lambda x: x[:, np.newaxis].astype("float32"),
    "gray in colour": lambda x: np.stack([x] * 3, axis=-1),
    "gray in colour, channels first": lambda x: np.stack([x] * 3, axis=1),
    "reversed and back": lambda x: x[::-1].copy()[::-1],
}
LABELS = {
    "itself": lambda y: y,
    "list": lambda y: y.tolist(),
    "int64": lambda y: y.astype("int64"),
    "float": lambda y: y.astype("float32"),
    "column": lambda y: y[:, np.newaxis],
    "one-hot": lambda y: np.eye(10)[y],
    "one-hot lists": lambda y: np.eye(10, dtype=int)[y].tolist(),
    "one-hot booleans": lambda y: np.eye(10, dtype=bool)[y],
    "text": lambda y: y.astype("U"),
    "bytes": lambda y: y.astype("S"),
    "objects": lambda y: Frame(y.astype("U").astype(object)),
    "a tensor": lambda y: tf.constant(y),
}


@pytest.mark.parametrize("form", IMAGES)
def test_same_images_in_any_form_are_the_same_bytes(digits, form):
    found = as_images(IMAGES[form](digits[0]))
    np.testing.assert_array_equal(found, digits[0])
    assert found.dtype == np.uint8 and found.flags.c_contiguous


@pytest.mark.parametrize("form", LABELS)
def test_same_labels_in_any_form_are_the_same_bytes(digits, form):
    found = as_labels(LABELS[form](digits[1]))
    np.testing.assert_array_equal(found, digits[1])
    assert found.dtype == np.uint8


def test_all_gray_values_survive_any_scaling():
    gray = np.resize(np.arange(256, dtype="uint8"), (2, 28, 28))
    for dtype in ("float16", "float32", "float64"):
        for scale in (1, 255):
            scaled = (gray / scale).astype(dtype)
            np.testing.assert_array_equal(as_images(scaled), gray)


def test_black_and_white_is_the_same_in_any_type():
    ink = np.random.default_rng(0).random((3, 28, 28)) > 0.5
    for dtype in ("bool", "uint8", "int64", "float32"):
        found = as_images(ink.astype(dtype))
        np.testing.assert_array_equal(found, ink * np.uint8(255))


def test_images_in_the_right_form_are_not_copied(digits):
    assert as_images(digits[0]).base is digits[0].base
    assert np.shares_memory(as_images(digits[0]), digits[0])


@pytest.mark.parametrize(
    "images, received",
    [
        (np.zeros((5, 28, 27)), r"\(5, 28, 27\)"),
        (np.zeros((28, 28)), r"\(28, 28\)"),
        (np.zeros((28, 28, 5)), r"\(28, 28, 5\)"),
        (np.zeros((784, 5)), r"\(784, 5\)"),
        (np.zeros((5, 785)), r"\(5, 785\)"),
        (np.random.default_rng(0).random((5, 28, 28, 3)), r"28, 3\)"),
        (np.zeros((5, 28, 28), complex), "complex128"),
        (np.zeros((5, 28, 28), object), "object"),
        (np.zeros((5, 28, 28)) - 1, "-1 to -1"),
        (np.full((5, 28, 28), 1.5), "1.5 to 1.5"),
        (np.full((5, 28, 28), 256), "256 to 256"),
        (np.full((5, 28, 28), np.nan), "nan to nan"),
        (np.full((5, 28, 28), np.inf), "inf to inf"),
        ([[1, 2], [3]], "list"),
        (None, "NoneType"),
        ("mnist", "<U5"),
        ({"image": 1}, "dict"),
        (iter([1]), "list_iterator"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_rejects_what_are_no_images(images, received):
    with pytest.raises(InputError, match=f"Received: .*{received}") as error:
        as_images(images)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "labels, received",
    [
        ([1.5], "float64 of shape"),
        ([np.nan], "float64 of shape"),
        ([True, False], "bool of shape"),
        (["a"], "<U1 of shape"),
        ([None], "object of shape"),
        (np.full((3, 10), 0.1), r"\(3, 10\)"),
        (np.zeros((3, 10)), r"\(3, 10\)"),
        (np.eye(11)[:3], r"\(3, 11\)"),
        (5, r"shape \(\)"),
        (range(1, 11), "1 to 10"),
        ([256], "256 to 256"),
        ([-1], "-1 to -1"),
        ([10**30], "object of shape"),
        (None, "NoneType"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_rejects_what_are_no_labels(labels, received):
    with pytest.raises(InputError, match=f"Received: .*{received}") as error:
        as_labels(labels)
    assert "\n" not in str(error.value)


def test_labels_from_1_to_10_are_told_what_to_do(digits):
    with pytest.raises(InputError, match="0 and not 10 for the digit 0"):
        as_labels(digits[1].astype(int) + 1)


def test_rejects_another_number_of_labels(digits):
    with pytest.raises(InputError, match="50 images and 49 labels"):
        as_examples(digits[0], digits[1][:-1])


def test_own_arrays_may_have_any_of_these_forms(digits):
    images, labels = digits
    mnist = Mnist.of(
        (
            ((images / 255).reshape(-1, 784).tolist(), np.eye(10)[labels]),
            [images[..., np.newaxis], labels.astype("U")],
        )
    )
    for part in (mnist.train_images, mnist.test_images):
        np.testing.assert_array_equal(part, images)
    for part in (mnist.train_labels, mnist.test_labels):
        np.testing.assert_array_equal(part, labels)
