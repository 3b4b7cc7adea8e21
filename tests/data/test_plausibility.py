"""Data that was misread is told; data of another kind is not doubted."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.plausibility import doubt
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.formats.model_file import image_input
from keras_mnist_sum.formats.pretrained import open_pretrained


@pytest.fixture(scope="module")
def read_digits():
    model = open_pretrained()

    def read(images):
        numbers = np.eye(10, dtype="float32")[np.zeros(len(images), int)]
        inputs = {"image": image_input(images), "number": numbers}
        return model.predict(inputs)["digit"]

    return read


@pytest.fixture(scope="module")
def sample():
    mnist = load_mnist("sample")
    return (
        mnist.train_images[::40],
        mnist.train_labels[::40],
        mnist.test_images[::10],
        mnist.test_labels[::10],
    )


def changed(arrays, image=lambda x: x, label=lambda y: y):
    images, labels, test_images, test_labels = arrays
    return Mnist.from_arrays(
        image(images), label(labels), image(test_images), label(test_labels)
    )


MISREAD = {
    "inverted": (lambda x: 255 - x, None),
    "transposed": (lambda x: x.transpose(0, 2, 1), None),
    "mirrored": (lambda x: x[:, :, ::-1], None),
    "upside down": (lambda x: x[:, ::-1], None),
    "turned by 180": (lambda x: x[:, ::-1, ::-1], None),
    "turned to the left": (lambda x: np.rot90(x, 1, (1, 2)), None),
    "turned to the right": (lambda x: np.rot90(x, -1, (1, 2)), None),
    "inverted and transposed": (lambda x: 255 - x.transpose(0, 2, 1), None),
    "of one colour alone": (lambda x: x * 0 + 9, None),
    "images are the same": (lambda x: x[:1].repeat(len(x), 0), None),
    "labels are 4": (None, lambda y: y * 0 + 4),
    "labels seem not": (None, lambda y: (y + 1) % 10),
    "not to belong to their": (None, lambda y: np.roll(y, len(y) // 3)),
    "show other digits": (
        None,
        lambda y: np.where(y == 3, 8, np.where(y == 8, 3, y)),
    ),
}


@pytest.mark.parametrize("case", MISREAD)
def test_misread_data_is_told(sample, read_digits, case):
    image, label = MISREAD[case]
    same = lambda x: x  # noqa: E731
    warning = doubt(changed(sample, image or same, label or same), read_digits)
    assert case in warning and "\n" not in warning


def letters(count, shown="ABCDEFGHIJ"):
    """Letters in place of digits, each a bit elsewhere and turned."""
    rng = np.random.default_rng(count)
    images, labels = [], np.arange(count) % 10
    for label in labels:
        image = Image.new("L", (28, 28))
        x, y = rng.integers(12, 17, 2)
        font = ImageFont.load_default(int(rng.integers(18, 24)))
        ImageDraw.Draw(image).text((x, y), shown[label], 255, font, "mm")
        images.append(np.asarray(image.rotate(rng.uniform(-12, 12))))
    return np.stack(images), labels


def test_data_of_another_kind_is_not_doubted(sample, read_digits):
    rng = np.random.default_rng(0)

    def blobs(images):
        small = rng.integers(0, 256, (len(images), 7, 7), "uint8")
        return small.repeat(4, 1).repeat(4, 2)

    def noise(images):
        return rng.integers(0, 256, images.shape, "uint8")

    kinds = [
        Mnist.from_arrays(*letters(100), *letters(40)),
        Mnist.from_arrays(*letters(90, "abcdefghij"), *letters(50)),
        changed(sample, noise),
        changed(sample, lambda x: noise(x) // 3),
        changed(sample, blobs),
    ]
    assert [doubt(mnist, read_digits) for mnist in kinds] == [""] * len(kinds)


def test_mnist_is_not_doubted(sample, read_digits):
    """Nor is it black and white, or few of it."""
    sets = [changed(sample), changed(sample, lambda x: (x > 127) * 255)]
    images, labels, *test = sample
    for count in (1, 2, 10):
        for start in range(0, 80, 17):
            part = slice(start, None, 100 // count)
            sets.append(Mnist.from_arrays(images[part], labels[part], *test))
    sets.append(Mnist.from_arrays(None, None, *test))
    assert [doubt(mnist, read_digits) for mnist in sets] == [""] * len(sets)


@pytest.mark.parametrize("source", ["tfds", "sample"])
def test_known_sets_are_not_looked_at(sample, source):
    mnist = changed(sample, lambda x: x * 0)
    known = dataclasses.replace(mnist, source=source)
    assert doubt(mnist, pytest.fail) and not doubt(known, pytest.fail)


def test_test_images_among_the_training_images_are_told(sample):
    images, labels, *_ = sample
    mnist = Mnist.from_arrays(images, labels, images, labels)
    assert "50 of 50 test images are training images" in doubt(mnist, 1 / 1)


def test_without_a_model_nothing_is_said(sample):
    def fail(images):
        raise ImportError("no ONNX Runtime")

    assert doubt(changed(sample, lambda x: 255 - x), fail) == ""


def test_misread_test_set_is_told_and_labels_in_turns_are_not(
    sample, read_digits
):
    images, labels, test_images, test_labels = sample
    mnist = Mnist.from_arrays(images, labels, 255 - test_images, test_labels)
    found = doubt(mnist, read_digits)
    assert found.startswith("in the test set, ") and "inverted" in found
    turns = np.resize(np.arange(10), 491)  # Evenly spaced ones are all 0.
    first = np.array(
        [np.flatnonzero(labels == digit)[0] for digit in range(10)]
    )
    images, labels = images[first[turns]], labels[first[turns]]
    mnist = Mnist.from_arrays(images, labels, test_images[:9], test_labels[:9])
    assert not doubt(mnist, read_digits)
