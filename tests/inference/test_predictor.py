"""From any picture and an integer to an answer."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import export
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.formats.pretrained import ONNX_PATH
from keras_mnist_sum.inference.predictor import Predictor
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.utils import atomic_files

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load()


@pytest.fixture(scope="module")
def mnist():
    mnist = load_mnist("sample", test_only=True)
    return mnist.test_images[::97], mnist.test_labels[::97]


def test_one_picture_and_one_number_get_one_answer(predictor, mnist):
    images, labels = mnist
    answer = predictor(images[3], 4)
    digit = int(labels[3])
    assert (answer.digit, answer.number, answer.agree) == (digit, 4, True)
    assert (answer.sum, answer.difference) == (digit + 4, abs(digit - 4))
    for name, output in task.outputs().items():
        share = answer.probabilities[name]
        assert 0.9 < share <= 1
        assert share == answer.predictions[name].max()
        assert answer.predictions[name].shape == (output.num_classes,)
    np.testing.assert_array_equal(answer.image, images[3])


def as_unit(image):
    return image / np.float32(255)


@pytest.mark.parametrize(
    "form",
    [
        np.asarray,
        as_unit,
        lambda image: image[..., np.newaxis],
        lambda image: as_unit(image)[..., np.newaxis],
        lambda image: image.astype("float64"),
        Image.fromarray,
        lambda image: Image.fromarray(image).convert("RGB"),
    ],
)
def test_every_form_of_an_mnist_image_gets_the_same_answer(
    predictor, mnist, form
):
    images, _ = mnist
    numbers = np.arange(len(images)) % 10
    plain = predictor(images, numbers)
    for answer, expected in zip(
        predictor([form(image) for image in images], list(numbers)), plain
    ):
        assert answer.probabilities == pytest.approx(expected.probabilities)
        assert answer.sum == expected.sum


def test_path_gets_the_answer_of_its_picture(predictor, mnist, tmp_path):
    image = mnist[0][0]
    Image.fromarray(image).save(tmp_path / "digit.png")
    for path in (tmp_path / "digit.png", str(tmp_path / "digit.png")):
        assert predictor(path, 3).probabilities == pytest.approx(
            predictor(image, 3).probabilities
        )


def test_many_pictures_are_answered_in_their_order(predictor, mnist):
    images, labels = mnist
    images = np.concatenate([images] * 60)  # more than one batch
    numbers = np.arange(len(images)) % 10
    answers = predictor(images, numbers)
    assert [answer.number for answer in answers] == list(numbers)
    right = [x.digit for x in answers] == np.tile(labels, 60)
    assert np.mean(right) > 0.9
    assert predictor([], []) == []


@pytest.mark.parametrize("number", [10, -1, 3.5, 3.0, "x", "3", None, True])
def test_number_that_is_none_is_refused(predictor, mnist, number):
    image = mnist[0][0]
    for images, numbers in ((image, number), ([image], [number])):
        with pytest.raises(InputError, match="0 to 9. Received: "):
            predictor(images, numbers)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_unequal_numbers_of_pictures_and_numbers_are_refused(
    predictor, mnist, count
):
    with pytest.raises(InputError, match=f"2 images and {count} numbers"):
        predictor(mnist[0][:2], [1] * count)


def test_one_number_in_an_array_without_axes_is_one(predictor, mnist):
    assert predictor(mnist[0][0], np.array(3)).number == 3


def test_one_image_in_no_list_is_one(predictor, mnist):
    """Not its 28 rows."""
    [answer] = predictor(mnist[0][0], [3])
    assert answer.digit == predictor(mnist[0][0], 3).digit


def test_many_images_for_one_number_are_refused(predictor, mnist):
    with pytest.raises(InputError, match="Received: 2 images and 1 numbers"):
        predictor(list(mnist[0][:2]), 3)
    with pytest.raises(InputError, match=r"Received: \(2, 28, 28\)"):
        predictor(mnist[0][:2], 3)


def test_bad_one_of_many_is_named(predictor, mnist):
    blank = np.zeros((28, 28), "uint8")
    with pytest.raises(InputError, match="28 x 28 pixels, at index 1$"):
        predictor([mnist[0][0], blank], [3, 3])
    with pytest.raises(InputError, match="Received: 11, at index 2$"):
        predictor(mnist[0][:3], [1, 2, 11])


def test_model_that_gives_no_numbers_is_refused(mnist):
    def predict(arrays):
        count = len(arrays["image"])
        sizes = {"digit": 10, "sum": 19, "difference": 10}
        return {k: np.full((count, n), np.nan) for k, n in sizes.items()}

    with pytest.raises(InputError, match="finite values. Received: .*nan"):
        Predictor(predict)(mnist[0][0], 3)


@pytest.mark.parametrize("name", ["model.onnx", "MODEL.ONNX"])
def test_model_is_found_by_the_end_of_its_name(tmp_path, mnist, name):
    shutil.copy(ONNX_PATH, tmp_path / name)
    answer = Predictor.load(tmp_path / name)(mnist[0][0], 3)
    assert answer.digit == mnist[1][0]


def test_every_form_of_a_model_gives_the_same_answers(tmp_path, mnist):
    """A run directory and each file that can be made of it."""
    config = Config(backbone="small", width=2, difference="signed")
    model = build_model(config)
    model.save(tmp_path / run_directory.MODEL)
    atomic_files.write_text(tmp_path / run_directory.CONFIG, config.to_json())
    targets = [tmp_path, tmp_path / run_directory.MODEL] + [
        export.export(model, tmp_path, format).path
        for format in ("saved_model", "litert", "onnx")
    ]
    targets.append(tmp_path / "saved_model")
    images, numbers = mnist[0][:3], [0, 5, 9]
    expected = model.predict(
        {"image": images[..., np.newaxis], "number": np.eye(10)[numbers]},
        verbose=0,
    )
    for target in targets:
        predictor = Predictor.load(target)
        assert predictor.difference == "signed"
        answers = predictor(images, numbers)
        for name, array in expected.items():
            found = np.stack([answer.predictions[name] for answer in answers])
            np.testing.assert_allclose(found, array, atol=1e-5)


def test_what_does_not_agree_is_said(mnist):
    """Also of values, which have no probability."""

    def predict(arrays):
        count = len(arrays["image"])
        digit = np.eye(10, dtype="float32")[[2] * count]
        return {
            "digit": digit,
            "sum": np.full((count, 1), 5.2, "float32"),
            "difference": np.full((count, 1), -1.4, "float32"),
        }

    predictor = Predictor(predict, "signed")
    answers = predictor(mnist[0][:2], [3, 4])
    assert [x.agree for x in answers] == [True, False]
    assert [x.sum for x in answers] == [5, 5]
    assert answers[0].difference == -1
    assert answers[0].probabilities == {"digit": 1.0}


def test_predictor_needs_no_tensorflow():
    code = (
        "import sys, numpy\n"
        "from keras_mnist_sum import Predictor\n"
        "image = numpy.zeros((28, 28), 'uint8')\n"
        "image[4:24, 13:15] = 255\n"
        "assert Predictor.load()(image, 3).sum == 4\n"
        "loaded = {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
