"""What is counted of predictions agrees with a plain count."""

import numpy as np
import pytest

from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.task import DIFFERENCES
from keras_mnist_sum.task import Task
from tests.evaluation.known_model import known_outputs
from tests.evaluation.known_model import known_predictions

# Gaps between the values, two classes alone, and the digit not first.
PRODUCT = Task.named(("product", "digit", "greater"))
TASKS = [Task.named(), Task.named(difference="signed"), PRODUCT]


def in_part_wrong(digits, task):
    """Predictions of which about half are drawn at random."""
    rng = np.random.default_rng(0)

    def change(name, classes):
        hit = rng.random(classes.shape) < 0.5
        others = rng.integers(0, task[name].num_classes, classes.shape)
        classes[hit] = others[hit]

    return known_predictions(digits, change, task)


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_confusion_counts_each_pair_once_and_agrees_with_the_score(
    digits, difference
):
    def change(name, classes):
        classes[::3, 4] = 2

    task = Task.named(difference=difference)
    predictions = known_predictions(digits, change, task)
    scores = predictions.scores
    for name, output in task.items():
        counts = predictions.confusion(name)
        assert counts.shape == (output.num_classes, output.num_classes + 1)
        assert counts.sum() == scores.pairs == 500
        assert np.trace(counts) == scores.correct[name] < 500
        assert not counts[:, -1].any()
        labels = predictions.labels[name].ravel()
        expected = np.bincount(labels - output.values[0])
        assert counts.sum(axis=1).tolist() == expected.tolist()


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_confusion_is_that_of_a_plain_count(digits, task):
    predictions = in_part_wrong(digits, task)
    for name, output in task.items():
        expected = np.zeros((output.num_classes, output.num_classes + 1), int)
        for i, digit in enumerate(digits[1]):
            for number in range(10):
                label = output.pair_values[digit, number]
                predicted = predictions.predicted[name][i, number]
                row = output.values.index(label)
                expected[row, output.values.index(predicted)] += 1
        counts = predictions.confusion(name)
        assert counts.dtype == np.int64
        np.testing.assert_array_equal(counts, expected)
        assert 0 < np.trace(counts) < 500


def test_value_between_two_classes_counts_as_other(digits):
    """No product of two digits is 11 or 13; 12 is one."""
    product = PRODUCT["product"]
    assert product.num_classes == 37
    outputs = known_outputs(digits, task=PRODUCT)
    values = product.pair_values[digits[1]].astype("float64")  # (50, 10)
    values[:, 0], values[:, 1], values[:, 2] = 11.0, 13.4, 11.6
    outputs["product"] = values[..., np.newaxis]
    predictions = Predictions(*digits, PRODUCT, outputs)
    counts = predictions.confusion("product")
    assert counts[:, -1].sum() == 100
    # All 50 of number 2, besides the pairs whose product is 12.
    twelve = counts[:, product.values.index(12)].sum()
    assert twelve == 50 + (values[:, 3:] == 12).sum()
    assert np.trace(counts) == predictions.scores.correct["product"]


def test_output_swapped_with_its_neighbour_shows_in_the_confusion(digits):
    """`difference` gives the digit: both are ten wide."""
    labels = digits[1].astype(int)

    def change(name, classes):
        if name == "difference":
            classes[:] = labels[:, np.newaxis]

    counts = known_predictions(digits, change).confusion("difference")
    expected = np.zeros((10, 11), int)
    for label in labels:
        for number in range(10):
            expected[abs(label - number), label] += 1
    assert (counts == expected).all()
    assert np.trace(counts) < 100


def test_values_beyond_the_classes_count_as_others(digits):
    task = Task.named()
    outputs = known_outputs(digits)
    sums = task["sum"].decode(outputs["sum"]).astype("float64")
    sums[:, 3], sums[:, 4], sums[:, 5] = -1.2, 19.0, 1e30
    outputs["sum"] = sums[..., np.newaxis]
    predictions = Predictions(*digits, task, outputs)
    counts = predictions.confusion("sum")
    assert counts[:, -1].sum() == 150
    assert np.trace(counts) == predictions.scores.correct["sum"] == 350


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_shares_and_common_predictions_are_those_of_a_plain_count(digits, task):
    images, labels = digits
    kept = labels != 6
    predictions = in_part_wrong((images[kept], labels[kept]), task)
    for name, output in task.items():
        shares = predictions.share_correct(predictions.correct[name])
        common = predictions.most_common(name)
        for digit, number in np.ndindex(10, 10):
            predicted = [
                int(predictions.predicted[name][i, number])
                for i in np.flatnonzero(labels[kept] == digit)
            ]
            if digit == 6:
                assert np.isnan(shares[digit, number])
                assert np.isnan(common[digit, number])
                continue
            label = output.pair_values[digit, number]
            share = predicted.count(label) / len(predicted)
            assert shares[digit, number] == share
            most = max(predicted.count(value) for value in predicted)
            assert predicted.count(common[digit, number]) == most


def test_scores_list_every_output_of_the_task(digits):
    def change(name, classes):
        if name == "greater":
            classes[:, 9] = 1  # no digit is greater than 9

    scores = known_predictions(digits, change, PRODUCT).scores
    assert scores.correct == {"product": 500, "digit": 500, "greater": 450}
    assert scores.all_correct == 450 and scores.contradictory == 50
    assert list(scores.accuracy()) == [*PRODUCT, "all"]
    names = [name for name, *_ in scores.rows()]
    assert names == [*PRODUCT, "all", "contradictory"]
    assert scores.title() == (
        "product 100.00 %, digit 100.00 %, greater 90.00 %, all 90.00 % "
        "right of 500 test pairs"
    )


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_likelihood_and_brier_score_are_those_of_a_plain_count(digits, task):
    rng = np.random.default_rng(0)
    outputs = {
        name: rng.dirichlet(np.ones(output.num_classes), (50, 10))
        for name, output in task.items()
    }
    scores = Predictions(*digits, task, outputs).scores
    for name, output in task.items():
        logs, squares = [], []
        for i, digit in enumerate(digits[1]):
            for number in range(10):
                right = output.values.index(output.pair_values[digit, number])
                probabilities = outputs[name][i, number]
                logs.append(-np.log(probabilities[right]))
                label = np.eye(output.num_classes)[right]
                squares.append(((probabilities - label) ** 2).sum())
        assert scores.negative_log_likelihood[name] == pytest.approx(
            np.mean(logs)
        )
        assert scores.brier_score[name] == pytest.approx(np.mean(squares))


def test_certain_and_wrong_is_a_large_loss_and_no_infinite_one(digits):
    def change(name, classes):
        classes[:] = (classes + 1) % 10

    scores = known_predictions(digits, change).scores
    assert scores.negative_log_likelihood["digit"] == pytest.approx(87.3, abs=1)
    assert scores.brier_score["digit"] == 2
    assert scores.accuracy()["digit"] == 0
    low, high = scores.interval["digit"]
    assert low == 0 and 0.05 < high < 0.1
