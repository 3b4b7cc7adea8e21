import keras
import numpy as np
import pytest

from keras_mnist_sum import task
from keras_mnist_sum.config import HEADS
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation import evaluate
from keras_mnist_sum.models import build


def answering(digits, change=None, difference="absolute"):
    """An answerer that knows the labels, and errs where `change` says."""
    images, labels = digits
    label_of = {
        np.rint(image).astype("uint8").tobytes(): label
        for image, label in zip(images, labels)
    }

    def answer(batch):
        pixels = np.rint(batch[..., 0] * 255).astype("uint8")
        digit = np.array([label_of[image.tobytes()] for image in pixels], int)
        answers = {}
        for name, output in task.outputs(difference).items():
            classes = output.table[digit].copy()  # (batch, 10)
            if change:
                change(name, classes)
            answers[name] = np.eye(output.num_classes)[classes]
        return answers

    return answer


@pytest.mark.parametrize("difference", task.DIFFERENCES)
def test_perfect_answers_score_every_pair_once(digits, difference):
    answerer = answering(digits, difference=difference)
    scored = evaluate.ask(
        answerer, *digits, difference, batch_size=7
    ).evaluation
    assert scored.images == 50 and scored.pairs == 500
    assert scored.correct == {"digit": 500, "sum": 500, "difference": 500}
    assert scored.all_correct == 500 and scored.contradictory == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["digit", "sum"])
def test_answers_that_are_no_numbers_are_refused(digits, name, value):
    """Not counted as if they were zeros."""
    right = answering(digits)

    def answer(batch):
        answers = right(batch)
        answers[name][0, 3, -1] = value
        return answers

    with pytest.raises(InputError, match=f"{name} in 1 of 500 pairs"):
        evaluate.ask(answer, *digits)


def test_counts_are_exact_for_known_mistakes(digits):
    def change(name, classes):
        if name == "sum":  # wrong for number 4 alone: 50 pairs
            classes[:, 4] = (classes[:, 4] + 1) % 19
        if name == "difference":  # wrong for numbers 4 and 5: 100 pairs
            classes[:, 4:6] = (classes[:, 4:6] + 1) % 10

    scored = evaluate.ask(answering(digits, change), *digits).evaluation
    assert scored.correct == {"digit": 500, "sum": 450, "difference": 400}
    assert scored.all_correct == 400
    assert scored.contradictory == 100
    assert scored.accuracy()["all"] == 0.8


def test_wrong_but_consistent_answers_are_no_contradiction(digits):
    tables = task.outputs()

    def change(name, classes):
        wrong = (classes_of_digit + 1) % 10
        classes[:] = tables[name].table[wrong, np.arange(10)]

    classes_of_digit = digits[1][:, np.newaxis].astype(int)
    scored = evaluate.ask(answering(digits, change), *digits).evaluation
    assert scored.correct["digit"] == 0 and scored.all_correct == 0
    assert scored.contradictory == 0


def test_calibration_error_is_that_of_a_plain_count(digits):
    """15 bins of confidence, each pair in one, weighted by its pairs."""
    rng = np.random.default_rng(0)
    images, labels = digits
    probabilities = {
        name: rng.dirichlet(np.full(output.num_classes, 0.1), (50, 10))
        for name, output in task.outputs().items()
    }
    scored = evaluate.ask(
        lambda batch: probabilities, images, labels, batch_size=50
    ).evaluation
    for name, output in task.outputs().items():
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
        assert scored.calibration_error[name] == pytest.approx(expected)


def test_sure_and_right_answers_are_calibrated(digits):
    scored = evaluate.ask(answering(digits), *digits).evaluation
    assert set(scored.calibration_error.values()) == {0.0}
    assert scored.mean_absolute_error == {}


@pytest.mark.parametrize("difference", task.DIFFERENCES)
def test_values_are_rounded_and_their_mean_error_told(digits, difference):
    """Off by 0.25 everywhere is right; off by 3.5 for one number is not."""
    images, labels = digits
    right = answering(digits, difference=difference)
    outputs = task.outputs(difference)

    def answer(batch):
        answers = dict(right(batch))
        for name in ("sum", "difference"):
            answers[name] = outputs[name].answers(answers[name]) + 0.25
            answers[name] = answers[name][..., np.newaxis]
        answers["sum"][:, 7] += 3.25
        return answers

    scored = evaluate.ask(answer, images, labels, difference).evaluation
    assert scored.correct == {"digit": 500, "sum": 450, "difference": 500}
    assert scored.all_correct == 450 and scored.contradictory == 50
    assert set(scored.calibration_error) == {"digit"}
    assert scored.mean_absolute_error == pytest.approx(
        {"sum": 0.25 + 3.25 / 10, "difference": 0.25}
    )
    assert "mean absolute error 0.575" in scored.table()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("difference", task.DIFFERENCES)
def test_sharing_the_image_part_changes_no_answer(digits, head, difference):
    config = Config(width=4, head=head, difference=difference)
    model = build.build_model(config)
    images = digits[0][:6, ..., np.newaxis] / np.float32(255)
    shared = evaluate.answerer_of_model(model)(images)
    paired = evaluate.answerer_of_pairs(model.predict_on_batch)(images)
    for name, output in task.outputs(difference).items():
        value = head == "regression" and name != "digit"
        size = 1 if value else output.num_classes
        assert shared[name].shape == (6, 10, size)
        np.testing.assert_allclose(shared[name], paired[name], atol=1e-6)


def test_model_that_cannot_be_cut_is_asked_pair_by_pair(digits):
    """A layer on the number alone, and one that serves both inputs."""
    image = keras.Input((28, 28, 1), name="image")
    number = keras.Input((10,), name="number")
    flat = keras.layers.Dense(10)(keras.layers.Flatten()(image / 2.0))
    shared = keras.layers.Dense(8, activation="relu")
    both = keras.layers.Concatenate()(
        [shared(flat), shared(number), keras.layers.Dense(4)(number)]
    )
    answers = {
        name: keras.layers.Dense(output.num_classes, name=name)(
            flat if name == "digit" else both
        )
        for name, output in task.outputs().items()
    }
    model = keras.Model({"image": image, "number": number}, answers)
    images = digits[0][:6, ..., np.newaxis] / np.float32(255)
    found = evaluate.answerer_of_model(model)(images)
    paired = evaluate.answerer_of_pairs(model.predict_on_batch)(images)
    for name in answers:
        np.testing.assert_allclose(found[name], paired[name], atol=1e-6)


def test_table_cells_are_counted_against_the_truth():
    model = build.build_model(Config(width=4))
    outputs = task.outputs()
    for name in ("sum", "difference"):
        truth = np.eye(outputs[name].num_classes)[outputs[name].table]
        if name == "difference":
            truth[2, 3] = np.roll(truth[2, 3], 1)
        model.get_layer(name).set_weights([truth])
    cells = evaluate.table_cells_right(model, "absolute")
    assert cells == {"sum": 100, "difference": 99}
