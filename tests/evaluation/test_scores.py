import numpy as np
import pytest

from keras_mnist_sum import task
from keras_mnist_sum.evaluation import evaluate
from tests.evaluation.test_evaluate import answering


def ask(digits, change=None, difference="absolute"):
    answerer = answering(digits, change, difference)
    return evaluate.ask(answerer, *digits, difference, batch_size=7)


@pytest.mark.parametrize("difference", task.DIFFERENCES)
def test_confusion_counts_each_pair_once_and_agrees_with_the_score(
    digits, difference
):
    def change(name, classes):
        classes[::3, 4] = 2

    answers = ask(digits, change, difference)
    scored = answers.evaluation
    for name, output in answers.outputs.items():
        counts = answers.confusion(name)
        assert counts.shape == (output.num_classes, output.num_classes + 1)
        assert counts.sum() == scored.pairs == 500
        assert np.trace(counts) == scored.correct[name] < 500
        assert not counts[:, -1].any()
        expected = np.bincount(answers.true[name].ravel() - output.values[0])
        assert counts.sum(axis=1).tolist() == expected.tolist()


def test_output_swapped_with_its_neighbour_shows_in_the_confusion(digits):
    """`difference` gives the digit: both are ten wide."""

    def change(name, classes):
        if name == "difference":
            classes[:] = label_of_row.pop(0)[:, np.newaxis]

    labels = digits[1].astype(int)
    label_of_row = [labels[i : i + 7] for i in range(0, 50, 7)]
    counts = ask(digits, change).confusion("difference")
    expected = np.zeros((10, 11), int)
    for label in labels:
        for number in range(10):
            expected[abs(label - number), label] += 1
    assert (counts == expected).all()
    assert np.trace(counts) < 100


def test_values_beyond_the_classes_are_counted_as_others(digits):
    right = answering(digits)
    outputs = task.outputs()

    def answer(batch):
        answers = dict(right(batch))
        sums = outputs["sum"].answers(answers["sum"]).astype("float64")
        sums[:, 3], sums[:, 4], sums[:, 5] = -1.2, 19.0, 1e30
        return {**answers, "sum": sums[..., np.newaxis]}

    answers = evaluate.ask(answer, *digits)
    counts = answers.confusion("sum")
    assert counts[:, -1].sum() == 150
    assert np.trace(counts) == answers.evaluation.correct["sum"] == 350


def test_shares_and_common_answers_are_those_of_a_plain_count(digits):
    images, labels = digits
    kept = labels != 6
    rng = np.random.default_rng(0)

    def change(name, classes):
        hit = rng.random(classes.shape) < 0.3
        classes[hit] = 1

    answers = ask((images[kept], labels[kept]), change)
    for name, output in answers.outputs.items():
        shares = answers.share_right(answers.right[name])
        common = answers.most_common(name)
        for digit, number in np.ndindex(10, 10):
            given = [
                int(answers.given[name][i, number])
                for i in np.flatnonzero(labels[kept] == digit)
            ]
            if digit == 6:
                assert np.isnan(shares[digit, number])
                assert np.isnan(common[digit, number])
                continue
            truth = output.truth[digit, number]
            assert shares[digit, number] == given.count(truth) / len(given)
            most = max(given.count(value) for value in given)
            assert given.count(common[digit, number]) == most
