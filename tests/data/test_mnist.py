import dataclasses
import hashlib

import numpy as np
import pytest

from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError


@pytest.fixture
def mnist(digits):
    return Mnist.from_arrays(digits[0], digits[1], digits[0], digits[1])


def test_validation_images_are_spread_evenly_and_used_nowhere_else():
    mnist = load_mnist("sample")
    split = mnist.split(0.05)
    assert len(split.images) == len(split.labels) == 3800
    validation = split.validation_images
    assert len(validation) == len(split.validation_labels) == 200
    assert np.all(np.bincount(split.validation_labels) == 20)
    training = {image.tobytes() for image in split.images}
    assert not any(image.tobytes() in training for image in validation)
    assert len(mnist.split(0.0).validation_images) == 0


def test_digest_is_the_sha256_of_all_images_and_labels(mnist):
    split = mnist.split(0.2)
    sha256 = hashlib.sha256()
    for array in (
        split.images,
        split.labels,
        split.validation_images,
        split.validation_labels,
    ):
        sha256.update(array.tobytes())
    assert split.digest() == sha256.hexdigest()
    assert mnist.split(0.2).digest() == split.digest()
    assert mnist.split(0.1).digest() != split.digest()


def test_digest_of_the_sample_stays_as_it_is():
    """Checkpoints hold it."""
    assert load_mnist("sample").split(0.05).digest() == (
        "ca3b7e1d38da4bd373b62dc3ec37490265016c95e87b7b48147d075be4f0330b"
    )


def test_own_arrays_are_kept_in_one_form(digits):
    images, labels = digits
    mnist = Mnist.from_arrays(
        np.asfortranarray(images),
        labels.astype("int64"),
        images[:20],
        labels[:20].astype("int32"),
    )
    assert mnist.source == "arrays"
    assert mnist.description == "arrays of your own"
    assert mnist.train_images.flags.c_contiguous
    assert mnist.train_labels.dtype == mnist.test_labels.dtype == np.uint8
    np.testing.assert_array_equal(mnist.train_images, images)
    np.testing.assert_array_equal(mnist.test_labels, labels[:20])


def test_own_arrays_may_have_no_training_set(digits):
    mnist = Mnist.from_arrays(None, None, digits[0], digits[1])
    assert mnist.train_images.shape == (0, 28, 28)
    assert mnist.train_labels.shape == (0,)


@pytest.mark.parametrize(
    "message, change",
    [
        (
            "0-1: undo .*-0.5 to 0.5 in the train",
            lambda x, y: (x / 255 - 0.5, y),
        ),
        ("int64 of shape .* in the train set", lambda x, y: ([1, 2], y)),
        ("Received: NoneType in the train set", lambda x, y: (x, None)),
        ("50 images and 49 labels", lambda x, y: (x, y[:-1])),
        ("0 and not 10 for .* Received: 1 to 10", lambda x, y: (x, y + 1)),
        ("0-9. Received: -1 to 8", lambda x, y: (x, y.astype("int8") - 1)),
        ("0-9. Received: 256 to 265", lambda x, y: (x, y.astype("int") + 256)),
    ],
)
def test_rejects_own_arrays_that_are_not_mnist(digits, message, change):
    images, labels = change(*digits)
    with pytest.raises(InputError, match=message) as error:
        Mnist.from_arrays(images, labels, digits[0], digits[1])
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=message.replace("train", "test")):
        Mnist.from_arrays(digits[0], digits[1], images, labels)


def test_takes_four_arrays_or_two_pairs(digits):
    images, labels = digits
    four = Mnist.of((images, labels, images[:20], labels[:20]))
    pairs = Mnist.of(((images, labels), (images[:20], labels[:20])))
    for mnist in (four, pairs, Mnist.of(four)):
        assert len(mnist.train_images) == 50 and len(mnist.test_images) == 20
    for wrong in ((images, labels), images, [images], "mnist"):
        with pytest.raises(InputError, match="`data` must be an `Mnist`"):
            Mnist.of(wrong)


def test_labels_in_turns_are_all_among_the_validation_images(digits):
    images = np.zeros((400, 28, 28), "uint8")
    labels = np.arange(400) % 10  # Every twentieth of them is a 0.
    split = Mnist.from_arrays(images, labels, *digits).split(0.05)
    assert len(split.validation_labels) == 20
    assert set(split.validation_labels) == set(range(10))


def test_mnist_that_was_made_by_hand_is_checked(digits):
    mnist = Mnist.from_arrays(*digits, *digits, description="mine")
    images = digits[0] / 255
    found = Mnist.of(dataclasses.replace(mnist, train_images=images))
    assert found.train_images.dtype == "uint8" and found.description == "mine"
    np.testing.assert_array_equal(found.train_images, digits[0])
    with pytest.raises(InputError, match="Received"):
        Mnist.of(dataclasses.replace(mnist, train_images=digits[0][:9]))


@pytest.mark.parametrize("share", [None, "0.1", -0.1, 1, float("nan"), [0.1]])
def test_rejects_what_is_no_share(mnist, share):
    with pytest.raises(InputError, match="must be a number.*Received: "):
        mnist.split(share)


def test_rejects_masked_images_and_images_without_channels(digits):
    images, labels = digits
    masked = np.ma.masked_array(images, mask=images > 200)
    for wrong in (masked, np.zeros((5, 28, 28, 0)), np.zeros((5, 0, 28, 28))):
        with pytest.raises(InputError, match="Images must be .*Received: "):
            Mnist.from_arrays(wrong, labels, images, labels)
    whole = np.ma.masked_array(images)
    assert len(Mnist.of((whole, labels, images, labels)).train_images) == 50
