"""The same data, in whatever form, gives the same arrays, bit for bit."""

import numpy as np
import pytest

from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from tests.data.mnist_forms import FORMS
from tests.data.mnist_forms import TRAIN
from tests.data.mnist_forms import csv
from tests.data.mnist_forms import idx_files
from tests.data.mnist_forms import npz
from tests.data.mnist_forms import pictures
from tests.data.mnist_forms import write


@pytest.mark.parametrize("form", FORMS)
def test_same_data_in_any_form_gives_the_same_arrays(tmp_path, sets, form):
    path = FORMS[form](tmp_path, sets)
    mnist = load_mnist(str(path))
    (train_images, train_labels), (test_images, test_labels) = sets
    for found, expected in (
        (mnist.train_images, train_images),
        (mnist.train_labels, train_labels),
        (mnist.test_images, test_images),
        (mnist.test_labels, test_labels),
    ):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.uint8 and found.flags.c_contiguous
    assert mnist.source == str(path) and not mnist.warning
    again = load_mnist(path, test_only=True)
    np.testing.assert_array_equal(again.test_images, test_images)


ONE_SET = {
    "npz": npz(("images", "labels")),
    "csv": csv(("train.csv",), header="pixel{}"),
    "idx": idx_files("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "png": pictures(("",)),
}


@pytest.mark.parametrize("form", ONE_SET)
def test_every_seventh_image_of_a_single_set_is_kept_to_test_on(
    tmp_path, sets, form
):
    if form == "idx":
        sets = sets[:1]
    path = ONE_SET[form](tmp_path, sets)
    images, labels = sets[0]
    mnist = load_mnist(path)
    np.testing.assert_array_equal(mnist.test_images, images[::7])
    np.testing.assert_array_equal(mnist.test_labels, labels[::7])
    kept = np.arange(TRAIN) % 7 > 0
    np.testing.assert_array_equal(mnist.train_images, images[kept])
    np.testing.assert_array_equal(mnist.train_labels, labels[kept])
    assert "no test set: every seventh of its 14 images" in mnist.warning
    again = load_mnist(path, test_only=True)
    np.testing.assert_array_equal(again.test_images, images[::7])


def test_last_10_000_of_all_70_000_images_are_the_test_set(tmp_path):
    """As OpenML has them in one file."""
    labels = np.zeros(70_000, "uint8")
    labels[60_000:] = 1
    images = np.zeros((70_000, 28, 28), "uint8")
    np.savez_compressed(tmp_path / "mnist.npz", images=images, labels=labels)
    mnist = load_mnist(tmp_path / "mnist.npz")
    assert len(mnist.train_labels) == 60_000 and not mnist.train_labels.any()
    assert len(mnist.test_labels) == 10_000 and mnist.test_labels.all()


def test_test_set_alone_can_be_scored_and_not_trained_on(tmp_path, sets):
    csv(("mnist_test.csv",))(tmp_path, sets[1:])
    path = tmp_path / "mnist_test.csv"
    mnist = load_mnist(path, test_only=True)
    np.testing.assert_array_equal(mnist.test_images, sets[1][0])
    with pytest.raises(InputError, match="There must be a training set, too"):
        load_mnist(path)


def test_hidden_and_unrelated_files_are_left_alone(tmp_path, sets):
    folder = FORMS["idx"](tmp_path, sets)
    write(folder / "__MACOSX" / "._train-images-idx3-ubyte", b"junk")
    write(folder / "._train-images-idx3-ubyte", b"junk")
    write(folder / ".git" / "train-images-idx3-ubyte", b"junk")
    write(folder / "train-images-idx3-ubyte.sha256", b"0123")
    write(folder / "features.npz", b"junk")
    write(folder / "README.md", b"MNIST")
    np.testing.assert_array_equal(load_mnist(folder).train_images, sets[0][0])


@pytest.mark.parametrize("name", ["val", "valid", "validation", "other"])
@pytest.mark.parametrize("parts", [("train", "test"), ("train",)])
def test_what_is_not_used_is_said(tmp_path, sets, name, parts):
    pictures(parts)(tmp_path, sets)
    before = load_mnist(tmp_path)
    pictures((name,))(tmp_path, sets)
    mnist = load_mnist(tmp_path)
    assert len(mnist.train_images) == len(before.train_images)
    assert f"not used to train or test on, of '{tmp_path}': '{name}'" in (
        mnist.warning
    )
    assert mnist.warning.endswith(before.warning)
    assert "\n" not in mnist.warning


@pytest.mark.parametrize(
    "names",
    [
        [f"pixel{i}" for i in range(784)],
        [f"{row}x{column}" for row in range(1, 29) for column in range(1, 29)],
    ],
    ids=["numbers", "rows and columns"],
)
def test_columns_that_are_sorted_as_text_are_put_in_order(
    tmp_path, sets, names
):
    """As pandas and SQL leave them: pixel10 before pixel2."""
    images, labels = sets[0]
    order = sorted(range(784), key=names.__getitem__)
    table = np.column_stack([labels, images.reshape(-1, 784)[:, order]])
    np.savetxt(
        tmp_path / "train.csv",
        table,
        "%d",
        ",",
        header=",".join(["label", *(names[i] for i in order)]),
        comments="",
    )
    mnist = load_mnist(tmp_path / "train.csv")
    found = {x.tobytes() for x in (*mnist.train_images, *mnist.test_images)}
    assert found == {x.tobytes() for x in images}
