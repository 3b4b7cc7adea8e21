"""Charts show every pair, right and wrong ones told apart."""

import itertools

import numpy as np
import pytest

from keras_mnist_sum.evaluation.mistakes import find_mistakes
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.reporting import charts
from keras_mnist_sum.task import DIFFERENCES
from keras_mnist_sum.task import Task
from tests.evaluation.known_model import known_outputs
from tests.evaluation.known_model import known_predictions
from tests.reporting.figures import cell_texts

TASK = Task.named()


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_confusion_shows_every_count_in_its_cell(digits, difference):
    def change(name, classes):
        classes[:, 4] = 2

    task = Task.named(difference=difference)
    predictions = known_predictions(digits, change, task)
    for name, output in task.items():
        [axes] = charts.confusion(predictions, name).axes
        counts = predictions.confusion(name)
        assert cell_texts(axes) == {
            (row, column): str(counts[row, column])
            for row, column in np.argwhere(counts)
        }
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels == [str(v).replace("-", "−") for v in output.values]
        wrong = 500 - predictions.scores.correct[name]
        assert axes.figure.get_suptitle() == (
            f"{name}: {wrong} of 500 pairs wrong"
        )


def test_confusion_of_many_classes_is_labelled_by_the_values_there_are(digits):
    """37 classes are too many for counts: the colours alone tell them."""
    task = Task.named(("product", "digit"))
    product = task["product"]
    swapped = product.values.index(81), product.values.index(64)

    def change(name, classes):
        if name == "product":
            classes[classes == swapped[0]] = swapped[1]

    predictions = known_predictions(digits, change, task)
    [axes] = charts.confusion(predictions, "product").axes
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [x.get_text() for x in ticks] == list(map(str, product.values))
    right, wrong = (image.get_array() for image in axes.images)
    assert right.shape == wrong.shape == (37, 37)
    assert np.argwhere(~np.ma.getmaskarray(wrong)).tolist() == [list(swapped)]
    shown = ~np.ma.getmaskarray(right)
    assert shown.sum() == 36 and not shown[swapped[0], swapped[0]]
    assert not axes.texts
    assert axes.figure.get_suptitle() == "product: 5 of 500 pairs wrong"


def test_confusion_of_two_classes_shows_its_counts(digits):
    task = Task.named(("digit", "greater"))
    [axes] = charts.confusion(
        known_predictions(digits, task=task), "greater"
    ).axes
    # Of ten numbers, as many are below a digit as it says: 45 of a hundred.
    assert cell_texts(axes) == {(0, 0): "275", (1, 1): "225"}
    assert [x.get_text() for x in axes.get_xticklabels()] == ["0", "1"]


@pytest.fixture
def values(digits):
    """Predictions of a regression: off by a quarter, one far out, one lost."""
    outputs = known_outputs(digits)
    for name in ("sum", "difference"):
        predicted = TASK[name].decode(outputs[name]) + 0.25
        outputs[name] = predicted[..., np.newaxis]
    outputs["sum"][:, 4] = 40.0
    return Predictions(*digits, TASK, outputs)


def test_values_are_drawn_against_labels_and_none_is_lost(values):
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
def test_values_that_cannot_be_drawn_are_counted(digits, value):
    outputs = known_outputs(digits)
    for name in ("sum", "difference"):
        outputs[name] = np.full((50, 10, 1), value, "float32")
    predictions = Predictions(*digits, TASK, outputs)
    for axes in charts.values(predictions).axes[:2]:
        assert "; 500 values outside" in axes.get_title()
    assert predictions.scores.correct["sum"] == 0


@pytest.mark.parametrize(
    "outputs", [("digit", "greater"), ("product", "digit", "greater", "sum")]
)
def test_values_of_every_output_of_a_task_are_drawn(digits, outputs):
    task = Task.named(outputs)
    predicted = known_outputs(digits, task=task)
    for name in task:
        if name != "digit":
            values = task[name].decode(predicted[name]) + 0.25
            predicted[name] = values[..., np.newaxis]
    figure = charts.values(Predictions(*digits, task, predicted))
    names = [name for name in outputs if name != "digit"]
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [f"{x}\nmean absolute error 0.250" for x in names]


def test_values_that_are_far_apart_take_no_more_room(digits):
    task = Task(digit=lambda d, n: d, far=lambda d, n: 100_000 * d + n)
    outputs = known_outputs(digits, task=task)
    outputs["far"] = task["far"].decode(outputs["far"])[..., np.newaxis]
    outputs["far"][0, 0] = -900_000
    axes = charts.values(Predictions(*digits, task, outputs)).axes[0]
    cells = axes.collections[0].get_array()
    assert cells.size < 10**6 and np.ma.filled(cells, 0).sum() == 499
    assert "; 1 values outside" in axes.get_title()


@pytest.mark.parametrize("name", ["sum", "difference", "product"])
def test_ticks_of_values_do_not_overlap(digits, name):
    task = Task.named(("digit", name), difference="signed")
    outputs = known_outputs(digits, task=task)
    outputs[name] = task[name].decode(outputs[name])[..., np.newaxis]
    figure = charts.values(Predictions(*digits, task, outputs))
    figure.draw_without_rendering()
    labels = figure.axes[0].get_xticklabels()
    values = [int(label.get_text().replace("−", "-")) for label in labels]
    assert set(values) <= set(task[name].values) and len(values) >= 10
    boxes = [label.get_window_extent() for label in labels]
    for left, right in itertools.pairwise(boxes):
        assert left.x1 < right.x0


def test_probabilities_that_are_not_finite_have_no_calibration(digits):
    outputs = known_outputs(digits)
    outputs["sum"] = np.full((50, 10, 19), np.nan)
    predictions = Predictions(*digits, TASK, outputs)
    charts.reliability(predictions)
    errors = predictions.scores.calibration_error
    assert np.isnan(errors["sum"]) and errors["digit"] == 0
    found = find_mistakes(predictions)
    assert all(mistake.confidence is None for mistake in found)


def test_prediction_that_is_no_class_has_a_column_of_its_own(values):
    [axes] = charts.confusion(values, "sum").axes
    assert axes.get_xticklabels()[-1].get_text() == "other"
    cells = cell_texts(axes).items()
    others = [text for (_, column), text in cells if column == 19]
    assert sum(map(int, others)) == 50


def test_reliability_shows_bins_and_error_of_each_distribution(digits, values):
    rng = np.random.default_rng(0)
    outputs = {
        name: rng.dirichlet(np.full(output.num_classes, 0.1), (50, 10))
        for name, output in TASK.items()
    }
    predictions = Predictions(*digits, TASK, outputs)
    errors = predictions.scores.calibration_error
    figure = charts.reliability(predictions)
    for axes, (name, error) in zip(figure.axes[:3], errors.items()):
        expected = f"{name}\ncalibration error {100 * error:.2f} %"
        assert axes.get_title() == expected and error > 0.05
        bins = predictions.bins(name)
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
    for axes, _ in zip(figure.axes[3:], errors, strict=True):
        heights = [bar.get_height() for bar in axes.patches]
        assert sum(heights) == 500
    # A value has no confidence.
    titles = [axes.get_title() for axes in charts.reliability(values).axes]
    assert titles == ["digit\ncalibration error 0.00 %", ""]


def test_bars_of_reliability_count_an_image_once(digits):
    """Wilson's interval of 50 images, which are 500 pairs, all right."""
    axes = charts.reliability(known_predictions(digits)).axes[0]
    [bar] = [y for x in axes.collections for y in x.get_segments()]
    assert bar[:, 1] == pytest.approx([50 / (50 + 1.96**2), 1])


@pytest.mark.parametrize("count", [2, 5])
def test_reliability_has_a_panel_for_each_output(digits, count):
    names = ("product", "digit", "greater", "sum", "difference")[:count]
    predictions = known_predictions(digits, task=Task.named(names))
    axes = charts.reliability(predictions).axes
    titles = [x.get_title() for x in axes if x.get_title()]
    assert titles == [f"{name}\ncalibration error 0.00 %" for name in names]
    drawn = [[bar.get_height() for bar in x.patches] for x in axes if x.patches]
    assert list(map(sum, drawn)) == [500] * count


def test_integers_are_written_with_a_minus_sign_and_thousands():
    assert charts.format_int(-1234) == "−1,234"
