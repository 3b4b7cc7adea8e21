"""Answers for any picture and a number."""

import multiprocessing
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import export
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.formats.any_model import as_opened
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.inference.predictor import Predictor
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.task import Task
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
    for name, output in Task.named().items():
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
        lambda image: image[np.newaxis, ..., np.newaxis],
        lambda image: image.astype("float64"),
        lambda image: image.astype("int64"),
        lambda image: image.reshape(784),
        lambda image: image.tolist(),
        lambda image: list(image),
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


def test_answers_for_the_path_of_a_picture(predictor, mnist, tmp_path):
    image = mnist[0][0]
    Image.fromarray(image).save(tmp_path / "digit.png")
    for path in (tmp_path / "digit.png", str(tmp_path / "digit.png")):
        assert predictor(path, 3).probabilities == pytest.approx(
            predictor(image, 3).probabilities
        )


def test_answers_for_many_pictures_in_their_order(predictor, mnist):
    images, labels = mnist
    images = np.concatenate([images] * 60)  # more than one batch
    numbers = np.arange(len(images)) % 10
    answers = predictor(images, numbers)
    assert [answer.number for answer in answers] == list(numbers)
    right = [x.digit for x in answers] == np.tile(labels, 60)
    assert np.mean(right) > 0.9
    assert predictor([], []) == []


@pytest.mark.parametrize("number", [10, -1, 3.5, 3.0, "x", "3", None, True])
def test_rejects_a_wrong_number(predictor, mnist, number):
    image = mnist[0][0]
    for images, numbers in ((image, number), ([image], [number])):
        with pytest.raises(InputError, match="0 to 9. Received: "):
            predictor(images, numbers)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_rejects_more_or_fewer_numbers_than_pictures(predictor, mnist, count):
    with pytest.raises(InputError, match=f"2 images and {count} numbers"):
        predictor(mnist[0][:2], [1] * count)


def test_takes_a_number_in_an_array_without_axes(predictor, mnist):
    assert predictor(mnist[0][0], np.array(3)).number == 3


def test_one_image_outside_a_list_is_one_image(predictor, mnist):
    """Not its 28 rows."""
    [answer] = predictor(mnist[0][0], [3])
    assert answer.digit == predictor(mnist[0][0], 3).digit


def test_rejects_many_images_for_one_number(predictor, mnist):
    with pytest.raises(InputError, match="Received: 2 images and 1 numbers"):
        predictor(list(mnist[0][:2]), 3)
    with pytest.raises(InputError, match=r"Received: \(2, 28, 28\)"):
        predictor(mnist[0][:2], 3)


def test_names_the_bad_one_of_many(predictor, mnist):
    blank = np.zeros((28, 28), "uint8")
    with pytest.raises(InputError, match="28 x 28 pixels, at index 1$"):
        predictor([mnist[0][0], blank], [3, 3])
    with pytest.raises(InputError, match="Received: 11, at index 2$"):
        predictor(mnist[0][:3], [1, 2, 11])


def test_rejects_predictions_that_are_not_finite(mnist):
    with pytest.raises(InputError, match="finite values. Received: .*nan"):
        Predictor(constant(np.nan))(mnist[0][0], 3)


def test_rejects_predictions_that_do_not_fit_the_task(mnist):
    one_more = Task.named(("digit", "sum", "difference", "product"))
    for task in (one_more, Task.named(difference="signed")):
        with pytest.raises(InputError, match="A model of this task must give"):
            Predictor(constant(0.5), task)(mnist[0][0], 3)


def constant(value):
    """A model that gives nothing but this, for the default task."""

    def predict(arrays):
        count = len(arrays["image"])
        sizes = {"digit": 10, "sum": 19, "difference": 10}
        return {k: np.full((count, n), value) for k, n in sizes.items()}

    return predict


@pytest.mark.parametrize("name", ["model.onnx", "MODEL.ONNX"])
def test_recognizes_a_model_by_the_end_of_its_name(tmp_path, mnist, name):
    shutil.copy(pretrained.checked_path("model.onnx"), tmp_path / name)
    answer = Predictor.load(tmp_path / name)(mnist[0][0], 3)
    assert answer.digit == mnist[1][0]


def test_every_form_of_a_model_gives_the_same_answers(tmp_path, mnist):
    """A run directory and each file that can be made of it."""
    config = Config(backbone="small", width=2, difference="signed")
    model = build_model(config)
    run = Run(tmp_path)
    model.save(run.model)
    atomic_files.write_text(run.config, config.to_json())
    targets = [tmp_path, run.model, tmp_path / "saved_model"] + [
        export.export(model, tmp_path, format).path
        for format in ("saved_model", "litert", "onnx")
    ]
    images, numbers = mnist[0][:3], [0, 5, 9]
    expected = model.predict(
        {"image": images[..., np.newaxis], "number": np.eye(10)[numbers]},
        verbose=0,
    )
    for target in targets:
        predictor = Predictor.load(target)
        assert predictor.task == config.task
        answers = predictor(images, numbers)
        for name, array in expected.items():
            found = np.stack([answer.predictions[name] for answer in answers])
            np.testing.assert_allclose(found, array, atol=1e-5)


def test_says_whether_the_outputs_agree(mnist):
    """Those too that are values and have no probability."""

    def predict(arrays):
        count = len(arrays["image"])
        digit = np.eye(10, dtype="float32")[[2] * count]
        return {
            "digit": digit,
            "sum": np.full((count, 1), 5.2, "float32"),
            "difference": np.full((count, 1), -1.4, "float32"),
        }

    predictor = Predictor(predict, Task.named(difference="signed"))
    answers = predictor(mnist[0][:2], [3, 4])
    assert [x.agree for x in answers] == [True, False]
    assert [x.sum for x in answers] == [5, 5]
    assert answers[0].difference == -1
    assert answers[0].probabilities == {"digit": 1.0}
    assert str(answers[1]).splitlines() == [
        "digit 2 (100.0 %)",
        "2 + 4 = 5",
        "2 - 4 = -1",
        "contradictory",
    ]


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


def double(arrays):
    """A perfect model of twos."""
    number = arrays["number"].argmax(axis=1)
    return {
        name: np.eye(output.num_classes)[output.table[2, number]]
        for name, output in OWN.items()
    }


OWN = Task(
    product=lambda d, n: d * n,
    greater=lambda d, n: d > n,
    digit=lambda d, n: d,
)


def test_answers_for_a_task_of_ones_own(mnist):
    answer = Predictor(double, OWN)(mnist[0][0], 9)
    assert answer.values == {"product": 18, "greater": 0, "digit": 2}
    assert (answer.product, answer.greater, answer.digit) == (18, 0, 2)
    assert answer.task == OWN and answer.agree
    assert answer.predictions["product"].shape == (37,)
    assert str(answer).splitlines() == [
        "product(2, 9) = 18 (100.0 %)",
        "greater(2, 9) = 0 (100.0 %)",
        "digit 2 (100.0 %)",
    ]
    assert repr(answer) == (
        "Answer(number=9, product=18, greater=0, digit=2, agree=True)"
    )


def test_outputs_are_attributes_of_an_answer(predictor, mnist):
    answer = predictor(mnist[0][0], 3)
    assert {"digit", "sum", "difference", "number"} <= set(dir(answer))
    assert not hasattr(answer, "product")
    with pytest.raises(AttributeError, match="'product'.*digit, sum, diff"):
        _ = answer.product


@pytest.mark.parametrize("name", ["model.keras", "model.onnx", "model.tflite"])
def test_every_file_format_knows_a_task_of_ones_own(tmp_path, mnist, name):
    config = Config(
        outputs=("greater", "digit", "product"), backbone="small", width=2
    )
    model = build_model(config)
    if name == "model.keras":
        model.save(tmp_path / name)
    else:
        format = {"model.onnx": "onnx", "model.tflite": "litert"}[name]
        export.export(model, tmp_path, format)
    answer = Predictor.load(tmp_path / name)(mnist[0][0], 3)
    assert list(answer.values) == ["greater", "digit", "product"]
    assert answer.product in OWN["product"].values


def test_answers_and_predictors_can_be_pickled(predictor, mnist):
    answer = predictor(mnist[0][0], 3)
    for one in (predictor, Predictor(double, OWN)):
        copied = pickle.loads(pickle.dumps(one))
        assert copied.task == one.task
        expected = one(mnist[0][0], 3)
        assert copied(mnist[0][0], 3).values == expected.values
    copied = pickle.loads(pickle.dumps(answer))
    assert (copied.values, copied.sum) == (answer.values, answer.sum)
    np.testing.assert_array_equal(copied.image, answer.image)


@pytest.mark.parametrize(
    "format",
    [
        "in memory",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("keras", "litert", "onnx", "saved_model")
        ),
    ],
)
def test_copy_by_pickle_gives_the_same_answers(format, mnist, tmp_path):
    config = Config(custom_task=OWN, backbone="small", width=2)
    model = build_model(config)
    if format != "in memory":
        model = export.export(model, tmp_path, format).path
    predictor = Predictor(as_opened(model))
    copied = pickle.loads(pickle.dumps(predictor))
    assert copied.task == predictor.task == OWN
    numbers = range(len(mnist[0]))
    numbers = [number % 10 for number in numbers]
    for one, other in zip(
        predictor(mnist[0], numbers), copied(mnist[0], numbers), strict=True
    ):
        for name, array in one.predictions.items():
            found = other.predictions[name]
            np.testing.assert_allclose(found, array, atol=1e-6)


def test_model_in_memory_is_one_of_its_own_task(mnist):
    model = build_model(Config(outputs=("sum", "digit"), backbone="small"))
    image = mnist[0][:1]
    expected = model.predict(
        {"image": image[..., np.newaxis], "number": np.eye(10)[[3]]}, verbose=0
    )
    for predictor in (Predictor(model), Predictor(as_opened(model))):
        [answer] = predictor(image, [3])
        assert list(answer.task) == ["sum", "digit"]
        for name, array in expected.items():
            found = answer.predictions[name]
            np.testing.assert_allclose(found, array[0], atol=1e-6)


@pytest.mark.parametrize("model", [None, "", 3, [], {}, Config(), Predictor])
def test_rejects_what_is_no_model(model):
    with pytest.raises(InputError, match="A model is a run dir.*Received: "):
        Predictor(model)


def test_rejects_a_task_that_is_none(mnist):
    for model in (double, pretrained.checked_path("model.onnx")):
        with pytest.raises(InputError, match="must be a `Task`. Received: str"):
            Predictor(model, "signed")
    with pytest.raises(InputError, match="`task` must be the model's own"):
        Predictor(pretrained.checked_path("model.onnx"), OWN)


@pytest.mark.parametrize(
    "images, numbers",
    [
        (np.zeros((2, 28, 28)), [3, 4]),
        (np.zeros((2, 28, 28, 1), "uint8"), [3, 4]),
        (np.zeros((2, 28, 28), "uint8"), [3]),
        (np.zeros((28, 28), "uint8"), [3]),
        (np.zeros((2, 28, 28), "uint8"), [3, 10]),
    ],
)
def test_rejects_prepared_images_that_are_none(predictor, images, numbers):
    with pytest.raises(InputError, match="Received: "):
        predictor.answers(images, numbers)


def test_one_number_is_for_all_prepared_images(predictor, mnist):
    images = mnist[0][:3]
    for number in (3, np.int64(3), np.array(3)):
        answers = predictor.answers(images, number)
        assert [answer.number for answer in answers] == [3, 3, 3]
        assert [x.digit for x in answers] == list(mnist[1][:3])
    answers = predictor.answers(list(images), (x for x in (1, 2, 3)))
    assert [answer.number for answer in answers] == [1, 2, 3]
    with pytest.raises(InputError, match="0 to 9. Received: '3', at index 0"):
        predictor.answers(images, "3")


def test_no_images_have_no_answers(predictor):
    none = np.zeros((0, 28, 28), "uint8")
    for numbers in ([], (), np.zeros(0, int), 3):
        assert predictor.answers(none, numbers) == []
    for images in (none, [], np.zeros(0)):
        assert predictor(images, []) == []


def test_file_of_a_picture_must_be_open_for_its_bytes(
    predictor, mnist, tmp_path
):
    path = tmp_path / "digit.png"
    Image.fromarray(mnist[0][0]).save(path)
    with open(path, "rb") as file:
        assert predictor(file, 3).digit == mnist[1][0]
    with pytest.raises(InputError, match=r"open\(path, 'rb'\).*Received: "):
        predictor(file, 3)
    with (
        open(path) as text,
        pytest.raises(InputError, match=r"open\(path, 'rb'\).*Received: "),
    ):
        predictor(text, 3)


@pytest.mark.parametrize("given", [None, 3, [], {"digit": "x"}, {"sum": {}}])
def test_model_must_give_arrays_by_name(mnist, given):
    with pytest.raises(InputError, match="A model .*must give .*Received: "):
        Predictor(lambda arrays: given)(mnist[0][0], 3)


def test_masked_pixels_are_no_picture(predictor, mnist):
    image = np.ma.masked_array(mnist[0][0], mask=mnist[0][0] > 200)
    with pytest.raises(InputError, match="masked"):
        predictor(image, 3)
    whole = np.ma.masked_array(mnist[0][0])
    assert predictor(whole, 3).digit == mnist[1][0]


def test_predictor_of_a_file_is_pickled_as_its_path(
    tmp_path, mnist, monkeypatch
):
    """So that other processes, elsewhere, load it themselves."""
    shutil.copy(pretrained.checked_path("model.onnx"), tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    predictor = Predictor.load("model.onnx")
    assert len(pickle.dumps(predictor)) < 1000
    monkeypatch.chdir("/")
    images = list(mnist[0][:4])
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        answers = list(pool.map(predictor, images, [3] * 4))
    assert [x.digit for x in answers] == list(mnist[1][:4])


def test_rejects_a_difference_that_the_file_contradicts():
    with pytest.raises(InputError, match="Received: difference='signed'"):
        Predictor.load(difference="signed")
    assert Predictor.load(difference="absolute").task == Task.named()


def test_digit_is_never_a_value(mnist):
    def predict(arrays):
        count = len(arrays["image"])
        return {name: np.full((count, 1), 12.0) for name in Task.named()}

    with pytest.raises(InputError, match="but for the digit.*Received"):
        Predictor(predict)(mnist[0][0], 3)
