import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from keras_mnist_sum import task
from keras_mnist_sum.evaluation import evaluate
from keras_mnist_sum.evaluation.mistakes import find_mistakes
from keras_mnist_sum.reporting import charts
from tests.evaluation.test_evaluate import answering
from tests.evaluation.test_scores import ask


def words(axes):
    """The texts in the cells of a heat map, by (row, column)."""
    return {
        (int(text.get_position()[1]), int(text.get_position()[0])): (
            text.get_text()
        )
        for text in axes.texts
    }


def outlined(axes):
    return {
        (round(patch.get_y() + 0.46), round(patch.get_x() + 0.46))
        for patch in axes.patches
        if to_hex(patch.get_edgecolor()) == charts.WRONG
    }


@pytest.mark.parametrize("difference", task.DIFFERENCES)
def test_wrong_cells_of_learned_tables_are_outlined(digits, difference):
    answers = ask(digits, difference=difference)
    outputs = task.outputs(difference)
    tables = {
        name: np.eye(outputs[name].num_classes)[outputs[name].table]
        for name in ("sum", "difference")
    }
    tables["sum"][4, 5] = np.roll(tables["sum"][4, 5], 1)
    figure = charts.arithmetic(answers, tables)
    sums, differences = figure.axes
    assert outlined(sums) == {(4, 5)} and outlined(differences) == set()
    assert words(sums)[4, 5] == "10" and words(sums)[9, 9] == "18"
    low = "9" if difference == "absolute" else "−9"
    assert words(differences)[0, 9] == low
    assert sums.get_title() == "sum, learned: 99 of 100 cells right"


def test_without_tables_the_most_common_answers_are_drawn(digits):
    def change(name, classes):
        if name == "difference":
            classes[:, 2] = 9

    output = task.outputs()["sum"]
    learned = np.eye(output.num_classes)[output.table]
    for tables in ({}, {"sum": learned}):
        figure = charts.arithmetic(ask(digits, change), tables)
        sums, differences = figure.axes
        assert sums.get_title().startswith(
            "sum, learned" if tables else "sum, answered most often"
        )
        assert differences.get_title() == (
            "difference, answered most often: 90 of 100 cells right"
        )
        assert outlined(sums) == set()
        assert outlined(differences) == {(digit, 2) for digit in range(10)}


def test_digit_without_images_leaves_its_row_empty():
    output = task.outputs()["sum"]
    values = output.truth.astype("float64")
    values[3] = np.nan
    axes = Figure().add_subplot()
    charts.draw_table(axes, values, output)
    assert not axes.patches and len(axes.texts) == 90


@pytest.mark.parametrize("difference", task.DIFFERENCES)
def test_confusion_shows_every_count_in_its_cell(digits, difference):
    def change(name, classes):
        classes[:, 4] = 2

    answers = ask(digits, change, difference)
    for name, output in answers.outputs.items():
        [axes] = charts.confusion(answers, name).axes
        counts = answers.confusion(name)
        assert words(axes) == {
            (row, column): str(counts[row, column])
            for row, column in np.argwhere(counts)
        }
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels == [str(v).replace("-", "−") for v in output.values]
        wrong = 500 - answers.evaluation.correct[name]
        assert axes.figure.get_suptitle() == (
            f"{name}: {wrong} of 500 pairs wrong"
        )


@pytest.fixture
def values(digits):
    """Answers of a regression: off by a quarter, one far out, one lost."""
    right = answering(digits)
    outputs = task.outputs()

    def answer(batch):
        answers = dict(right(batch))
        for name in ("sum", "difference"):
            given = outputs[name].answers(answers[name]) + 0.25
            answers[name] = given[..., np.newaxis]
        answers["sum"][:, 4] = 40.0
        return answers

    return evaluate.ask(answer, *digits)


def test_values_are_drawn_against_the_truth_and_none_lost(values):
    figure = charts.values(values)
    sums, differences = figure.axes[:2]
    assert "; 50 values outside" in sums.get_title()
    assert "error 0.250" in differences.get_title()
    # What is drawn and what is said to lie outside are all pairs.
    drawn = [
        np.ma.filled(axes.collections[0].get_array(), 0).sum()
        for axes in (sums, differences)
    ]
    assert drawn == [450, 500]


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30])
def test_values_that_are_lost_are_said_to_be(digits, value):
    answers = ask(digits)
    for name in ("sum", "difference"):
        answers.predictions[name] = np.full((50, 10, 1), value, "float32")
    for axes in charts.values(answers).axes[:2]:
        assert "; 500 values outside" in axes.get_title()
    assert answers.evaluation.correct["sum"] == 0


def test_probabilities_that_are_no_numbers_have_no_calibration(digits):
    answers = ask(digits)
    answers.predictions["sum"] = np.full((50, 10, 19), np.nan)
    charts.reliability(answers)
    errors = answers.evaluation.calibration_error
    assert np.isnan(errors["sum"]) and errors["digit"] == 0
    assert all(mistake.confidence is None for mistake in find_mistakes(answers))


def test_answer_that_is_no_class_has_a_column_of_its_own(values):
    [axes] = charts.confusion(values, "sum").axes
    assert axes.get_xticklabels()[-1].get_text() == "other"
    others = [text for (_, column), text in words(axes).items() if column == 19]
    assert sum(map(int, others)) == 50


def test_reliability_shows_bins_and_error_of_each_distribution(digits, values):
    answers = ask(digits)
    rng = np.random.default_rng(0)
    for name, output in answers.outputs.items():
        answers.predictions[name] = rng.dirichlet(
            np.full(output.num_classes, 0.1), (50, 10)
        )
    errors = answers.evaluation.calibration_error
    figure = charts.reliability(answers)
    for axes, (name, error) in zip(figure.axes[:3], errors.items()):
        expected = f"{name}: calibration error {100 * error:.2f} %"
        assert axes.get_title() == expected and error > 0.05
        bins = answers.bins(name)
        points = {
            (float(x), float(y))
            for line in axes.lines
            if line.get_marker() == "o"
            for x, y in zip(*line.get_data())
        }
        used = bins.count > 0
        assert points == set(
            zip(
                (bins.confidence[used] / bins.count[used]).tolist(),
                (bins.right[used] / bins.count[used]).tolist(),
            )
        )
    for axes, name in zip(figure.axes[3:], errors):
        heights = [bar.get_height() for bar in axes.patches]
        assert sum(heights) == 500
    # A value has no confidence.
    titles = [axes.get_title() for axes in charts.reliability(values).axes]
    assert titles == ["digit: calibration error 0.00 %", ""]


def test_accuracy_is_shown_of_every_digit_with_every_number(digits):
    def change(name, classes):
        if name == "sum":
            classes[0, 4] += 1  # every seventh image

    figure = charts.accuracy(ask(digits, change))
    shown = {axes.get_title(): words(axes) for axes in figure.axes[:4]}
    assert list(shown) == ["digit", "sum", "difference", "all three"]
    for name, cells in shown.items():
        assert len(cells) == 100
        wrong = {cell for cell, text in cells.items() if text != "100"}
        if name in ("sum", "all three"):  # one of the five images of a digit
            assert wrong == {(7 * i % 10, 4) for i in range(8)}
            assert {cells[cell] for cell in wrong} == {"80.0"}
        else:
            assert not wrong
