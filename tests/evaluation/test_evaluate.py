"""Every pair is scored once, exactly, whatever the model was read from."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_mnist_sum.config import HEADS
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.evaluate import evaluate
from keras_mnist_sum.evaluation.evaluate import pair_predictor
from keras_mnist_sum.evaluation.evaluate import pair_predictor_of_model
from keras_mnist_sum.evaluation.evaluate import predict_all_pairs
from keras_mnist_sum.evaluation.evaluate import table_cells_correct
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.task import DIFFERENCES
from keras_mnist_sum.task import Task
from tests.evaluation.known_model import known_model
from tests.evaluation.known_model import known_outputs
from tests.fixtures.networks import network

TASK = Task.named()


def scores_of(digits, outputs, task=TASK):
    model = known_model(digits, outputs, task)
    return predict_all_pairs(model, *digits, batch_size=7).scores


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_perfect_predictions_score_every_pair_once(digits, difference):
    task = Task.named(difference=difference)
    scores = scores_of(digits, known_outputs(digits, task=task), task)
    assert scores.images == 50 and scores.pairs == 500
    assert scores.correct == {"digit": 500, "sum": 500, "difference": 500}
    assert scores.all_correct == 500 and scores.contradictory == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["digit", "sum"])
def test_rejects_predictions_that_are_not_finite(digits, name, value):
    """They are not counted as if they were zeros."""
    outputs = known_outputs(digits)
    outputs[name][0, 3, -1] = value
    with pytest.raises(InputError, match=f"{name} in 1 of 500 pairs"):
        predict_all_pairs(known_model(digits, outputs), *digits)


def test_counts_are_exact_for_known_mistakes(digits):
    def change(name, classes):
        if name == "sum":  # wrong for number 4 alone: 50 pairs
            classes[:, 4] = (classes[:, 4] + 1) % 19
        if name == "difference":  # wrong for numbers 4 and 5: 100 pairs
            classes[:, 4:6] = (classes[:, 4:6] + 1) % 10

    scores = scores_of(digits, known_outputs(digits, change))
    assert scores.correct == {"digit": 500, "sum": 450, "difference": 400}
    assert scores.all_correct == 400
    assert scores.contradictory == 100
    assert scores.accuracy()["all"] == 0.8


def test_wrong_but_consistent_predictions_are_no_contradiction(digits):
    misread = (digits[1][:, np.newaxis].astype(int) + 1) % 10

    def change(name, classes):
        classes[:] = TASK[name].table[misread, np.arange(10)]

    scores = scores_of(digits, known_outputs(digits, change))
    assert scores.correct["digit"] == 0 and scores.all_correct == 0
    assert scores.contradictory == 0


def test_calibration_error_is_that_of_a_plain_count(digits):
    """15 bins of confidence, each pair in one, weighted by its pairs."""
    rng = np.random.default_rng(0)
    labels = digits[1]
    probabilities = {
        name: rng.dirichlet(np.full(output.num_classes, 0.1), (50, 10))
        for name, output in TASK.items()
    }
    scores = scores_of(digits, probabilities)
    for name, output in TASK.items():
        bins = [[] for _ in range(15)]
        for image in range(50):
            for number in range(10):
                row = list(probabilities[name][image, number])
                confidence = max(row)
                right = (
                    row.index(confidence) == output.table[labels[image], number]
                )
                for i, members in enumerate(bins):
                    if i / 15 <= confidence < (i + 1) / 15:
                        members.append((confidence, right))
        expected = sum(
            abs(sum(c for c, _ in members) - sum(r for _, r in members)) / 500
            for members in bins
        )
        assert sum(map(len, bins)) == 500 and expected > 0.05
        assert scores.calibration_error[name] == pytest.approx(expected)


def test_sure_and_right_predictions_are_calibrated(digits):
    scores = scores_of(digits, known_outputs(digits))
    assert set(scores.calibration_error.values()) == {0.0}
    assert scores.mean_absolute_error == {}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_values_are_rounded_and_have_a_mean_absolute_error(digits, difference):
    """Off by 0.25 everywhere is right; off by 3.5 for one number is not."""
    task = Task.named(difference=difference)
    outputs = known_outputs(digits, task=task)
    for name in ("sum", "difference"):
        values = task[name].decode(outputs[name]) + 0.25
        outputs[name] = values[..., np.newaxis]
    outputs["sum"][:, 7] += 3.25
    scores = scores_of(digits, outputs, task)
    assert scores.correct == {"digit": 500, "sum": 450, "difference": 500}
    assert scores.all_correct == 450 and scores.contradictory == 50
    assert set(scores.calibration_error) == {"digit"}
    assert scores.mean_absolute_error == pytest.approx(
        {"sum": 0.25 + 3.25 / 10, "difference": 0.25}
    )
    assert "mean absolute error 0.575" in scores.table()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_sharing_the_image_part_changes_no_prediction(digits, head, difference):
    config = Config(width=4, head=head, difference=difference)
    model = build_model(config)
    images = digits[0][:6, ..., np.newaxis] / np.float32(255)
    shared = pair_predictor_of_model(model)(images)
    paired = pair_predictor(model.predict_on_batch)(images)
    for name, output in config.task.items():
        value = head == "regression" and name != "digit"
        size = 1 if value else output.num_classes
        assert shared[name].shape == (6, 10, size)
        np.testing.assert_allclose(shared[name], paired[name], atol=1e-6)


def test_model_that_cannot_be_cut_predicts_pair_by_pair(digits):
    """A layer on the number alone, and one that serves both inputs."""
    image = keras.Input((28, 28, 1), name="image")
    number = keras.Input((10,), name="number")
    flat = keras.layers.Dense(10)(keras.layers.Flatten()(image / 2.0))
    shared = keras.layers.Dense(8, activation="relu")
    both = keras.layers.Concatenate()(
        [shared(flat), shared(number), keras.layers.Dense(4)(number)]
    )
    outputs = {
        name: keras.layers.Dense(output.num_classes, name=name)(
            flat if name == "digit" else both
        )
        for name, output in TASK.items()
    }
    model = keras.Model({"image": image, "number": number}, outputs)
    images = digits[0][:6, ..., np.newaxis] / np.float32(255)
    found = pair_predictor_of_model(model)(images)
    paired = pair_predictor(model.predict_on_batch)(images)
    for name in outputs:
        np.testing.assert_allclose(found[name], paired[name], atol=1e-6)


def test_model_that_cannot_be_copied_is_scored_as_it_is(digits):
    half = keras.layers.Lambda(lambda x: x / 2)
    model = network(lambda image: keras.layers.Flatten()(half(image)))
    assert evaluate(model, digits).pairs == 500
    with pytest.raises(InputError, match="no `Lambda` allows. Received: Val"):
        copy_model(model)


def test_data_that_is_not_what_was_asked_for_is_said(caplog, monkeypatch):
    mnist = dataclasses.replace(
        load_mnist("sample", test_only=True), warning="this is the sample"
    )
    place = "keras_mnist_sum.evaluation.evaluate.load_mnist"
    monkeypatch.setattr(place, lambda *of, **how: mnist)
    evaluate(build_model(Config(width=2)), "auto")
    assert [x.getMessage() for x in caplog.records] == ["this is the sample"]


def test_table_cells_are_counted_against_the_right_ones():
    model = build_model(Config(width=4))
    for name in ("sum", "difference"):
        table = np.eye(TASK[name].num_classes)[TASK[name].table]
        if name == "difference":
            table[2, 3] = np.roll(table[2, 3], 1)
        model.get_layer(name).set_weights([table])
    cells = table_cells_correct(model, TASK)
    assert cells == {"sum": 100, "difference": 99}


def test_takes_a_model_a_path_or_an_opened_model(digits, tmp_path):
    """Each with the task that the model itself has."""
    config = Config(
        backbone="small", width=2, outputs=("product", "digit", "greater")
    )
    model = build_model(config)
    path = tmp_path / "model.keras"
    model.save(path)
    expected = evaluate(model, digits)
    assert list(expected.correct) == ["product", "digit", "greater"]
    for same in (path, str(path), open_model(path)):
        found = evaluate(same, digits)
        assert found.correct == expected.correct
        assert found.all_correct == expected.all_correct
        assert found.contradictory == expected.contradictory
        assert found.calibration_error == pytest.approx(
            expected.calibration_error
        )


def test_takes_arrays_an_mnist_or_the_name_of_data(digits, npz):
    """Of an `Mnist` and of a source, the test set is scored."""
    images, labels = digits
    others = np.zeros((20, 28, 28), "uint8"), np.zeros(20, "uint8")
    model = known_model(digits, known_outputs(digits))
    expected = evaluate(model, digits)
    assert expected.all_correct == expected.pairs == 500
    assert evaluate(model, Mnist.from_arrays(*others, *digits)) == expected
    assert evaluate(model, (*others, *digits)) == expected
    assert evaluate(model, str(npz)) == expected
    assert evaluate(model, (images, labels.astype("int64"))) == expected

    sample = load_mnist("sample", test_only=True)
    pairs = sample.test_images, sample.test_labels
    of_sample = known_model(pairs, known_outputs(pairs))
    found = evaluate(of_sample, "sample")
    assert found.images == len(sample.test_images)
    assert found.all_correct == found.pairs


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (np.full((2, 28, 28), np.nan), np.zeros(2, int), "0-255"),
        (np.zeros((2, 27, 28), "uint8"), np.zeros(2, int), "28, 28"),
        ("sample", np.zeros(2, int), "28, 28"),
        (np.zeros((2, 28, 28), "uint8"), np.zeros(3, int), "each image"),
        (np.zeros((0, 28, 28), "uint8"), np.zeros(0, int), "at least one"),
        (np.zeros((2, 28, 28), "uint8"), np.full(2, 10), "0-9"),
    ],
)
def test_rejects_arrays_that_are_not_examples(digits, images, labels, message):
    model = known_model(digits, known_outputs(digits))
    with pytest.raises(InputError, match=f"{message}.*Received:"):
        evaluate(model, (images, labels))
