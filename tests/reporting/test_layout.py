"""No text of a picture is cut or lies on another, whatever the task."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_mnist_sum.evaluation.mistakes import find_mistakes
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.reporting import charts
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.reporting import pair_tables
from keras_mnist_sum.reporting.layout import Sheet
from keras_mnist_sum.reporting.layout import text_width
from keras_mnist_sum.reporting.layout import wrap
from keras_mnist_sum.reporting.samples import draw_samples
from keras_mnist_sum.reporting.samples import draw_table
from keras_mnist_sum.task import Output
from keras_mnist_sum.task import Task
from tests.evaluation.known_model import known_outputs
from tests.evaluation.known_model import known_predictions
from tests.evaluation.known_model import right_tables
from tests.reporting.figures import check_texts

_LONG = dict(
    squared_difference_of_digit=lambda d, n: (d - n) ** 2,
    digit=lambda d, n: d,
    a_name_of_forty_letters_that_is_the_most=lambda d, n: d ** min(n, 5),
)
TASKS = {
    "alone": Task(digit=lambda d, n: d),
    "two": Task.named(("digit", "greater")),
    "default": Task.named(),
    "four": Task.named(("product", "digit", "difference", "sum"), "signed"),
    "long": Task(**_LONG),
    "six": Task(
        **_LONG,
        remainder_of_division=lambda d, n: d % (n + 1),
        joined=lambda d, n: -(10 * d + n),
        millions=lambda d, n: 12_345 * d * n,
    ),
}
NAME = "residual-2026-01-01-000000: " + "/a/long/$path/of_a_run" * 5


def some_tasks(*of):
    return pytest.mark.parametrize(
        "task",
        [
            pytest.param(
                task, id=name, marks=[] if name in of else pytest.mark.slow
            )
            for name, task in TASKS.items()
        ],
    )


def wrong_everywhere(digits, task):
    return known_predictions(digits, lambda name, x: x.fill(1), task)


@some_tasks("long")
def test_overview(digits, task):
    predictions = wrong_everywhere(digits, task)
    tables = right_tables(task)
    tables.pop("joined", None)
    title = f"{NAME}: {predictions.scores.title()}\nand its data"
    check_texts(image_grids.overview(predictions, tables, title))


@pytest.mark.parametrize(
    "count", [1, 9, pytest.param(50, marks=pytest.mark.slow)]
)
@some_tasks("long")
def test_mistakes(digits, task, count):
    predictions = wrong_everywhere(digits, task)
    found = find_mistakes(predictions)[:count]
    check_texts(image_grids.mistakes(predictions, found))


@some_tasks()
def test_batch(digits, task):
    images, labels = digits
    numbers = np.arange(50) % 10
    targets = {x: task[x].pair_values[labels, numbers] for x in task}
    floats = images / np.float32(255)
    check_texts(image_grids.batch(floats, numbers, targets, NAME))


@some_tasks()
def test_accuracy(digits, task):
    check_texts(pair_tables.accuracy(wrong_everywhere(digits, task)))


@some_tasks("two")
def test_confusion(digits, task):
    predictions = wrong_everywhere(digits, task)
    for name in task:
        check_texts(charts.confusion(predictions, name))


@some_tasks("two")
def test_reliability(digits, task):
    rng = np.random.default_rng(0)
    outputs = {
        name: rng.dirichlet(np.full(output.num_classes, 0.1), (50, 10))
        for name, output in task.items()
    }
    check_texts(charts.reliability(Predictions(*digits, task, outputs)))


@some_tasks("default")
def test_values(digits, task):
    outputs = known_outputs(digits, task=task)
    for name in task:
        if name != "digit" or len(task) == 1:
            values = task[name].decode(outputs[name])
            outputs[name] = values[..., np.newaxis] + 0.25
    check_texts(charts.values(Predictions(*digits, task, outputs)))


@some_tasks("default")
def test_pictures_of_tensorboard(digits, task):
    images, labels = digits
    predicted = {name: np.full(10, 1) for name in task}
    numbers = np.arange(10)
    check_texts(
        draw_samples(images[:10], labels[:10], numbers, predicted, task)
    )
    for name, table in right_tables(task).items():
        check_texts(draw_table(table, task[name], 123_456))


@pytest.mark.parametrize("room", [0.05, 0.5, 3])
def test_wrapped_text_is_whole_and_as_wide_as_its_room(room):
    lines = wrap(NAME, room, 8)
    assert "".join(lines.split()) == "".join(NAME.split())
    widest = text_width(lines.splitlines(), 8)
    assert widest <= max(room, text_width("W", 8))


def test_letters_that_the_font_lacks_are_boxes_without_a_warning(digits):
    digit = Output.of("digit", lambda d, n: d, "digit")
    total = Output.of("sum", lambda d, n: d + n, "{d} 足す {n} は")
    task = Task.of([digit, total])
    predictions = wrong_everywhere(digits, task)
    title = "手書き\u3000/mnist.npz, é\nβ"
    figure = image_grids.overview(predictions, {}, title)
    check_texts(figure)
    figure.savefig(io.BytesIO())
    assert figure.get_suptitle() == "□□□ /mnist.npz, é\nβ"
    said = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert any("□□" in text for text in said)


def test_text_that_lies_on_another_or_is_cut_is_found():
    for places in ([0.5, 0.52], [0.5, 0.999]):
        figure = Figure(figsize=(4, 4))
        for i, place in enumerate(places):
            figure.text(place, 0.5, f"text {i}")
        with pytest.raises(AssertionError, match="lies on|is cut"):
            check_texts(figure)


def test_sheet_grows_with_what_is_added():
    sheet = Sheet("a title", 4.0)
    first = sheet.add_grid(3, 2, above=0.2)
    before = first[0].get_window_extent().size
    sheet.add_grid(1, 1, 2.0, left=0.5)
    np.testing.assert_allclose(first[0].get_window_extent().size, before)
    boxes = [x.get_window_extent() for x in sheet.figure.axes]
    assert boxes[0].y0 == boxes[1].y0 > boxes[2].y1 > boxes[2].y0 > boxes[3].y1
    assert boxes[3].y0 > 0 and boxes[3].x1 < sheet.figure.bbox.width
