"""Pictures of many images say what was predicted, and mark mistakes."""

import itertools
from io import BytesIO

import numpy as np
import pytest

from keras_mnist_sum.evaluation.mistakes import find_mistakes
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.reporting import charts
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.task import Task
from tests.evaluation.known_model import known_outputs
from tests.evaluation.known_model import known_predictions
from tests.evaluation.known_model import right_tables
from tests.reporting.figures import is_framed_as_wrong

SIGNED = Task.named(difference="signed")
PRODUCT = Task.named(("product", "digit", "greater"))


def test_examples_show_number_label_and_prediction_and_mark_mistakes(digits):
    def change(name, classes):
        if name == "sum":
            classes[:, 3] = 18

    predictions = known_predictions(digits, change, SIGNED)
    figure = image_grids.examples(predictions)
    chosen = np.linspace(0, 49, 20).astype(int)
    for i, axes in enumerate(figure.axes):
        image, number = chosen[i], i * 3 % 10
        shown = axes.images[0].get_array()
        assert (shown == predictions.images[image]).all()
        texts = [text.get_text() for text in axes.texts if text.get_text()]
        label = int(predictions.digits[image])
        said = 18 if number == 3 else label + number
        difference = str(label - number).replace("-", "−")
        assert texts == [
            *("number", str(number), "label", "model"),
            *("digit", str(label), str(label)),
            *("sum", str(label + number), str(said)),
            *("difference", difference, difference),
        ]
        orange = [
            t.get_text() for t in axes.texts if t.get_color() == charts.WRONG
        ]
        assert orange == (["18"] if number == 3 else [])
        assert is_framed_as_wrong(axes) == (number == 3)


def test_mistakes_are_framed_and_say_what_is_wrong(digits):
    outputs = known_outputs(digits)
    outputs["digit"][3], outputs["digit"][3, :, 7] = 0, 0.61
    outputs["sum"][14, 5], outputs["sum"][14, 5, 2] = 0, 0.97
    predictions = Predictions(*digits, Task.named(), outputs)
    found = find_mistakes(predictions)
    figure = image_grids.mistakes(predictions, found)
    assert (
        figure.get_suptitle() == "2 of 50 test images have a wrong prediction"
    )
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles == [
        "4 + 5 = 9, said 2\n97.0 % sure\n1 of 10 pairs wrong",
        "3 read as 7\n61.0 % sure",
    ]
    assert all(is_framed_as_wrong(axes) for axes in figure.axes if axes.images)


def test_more_mistakes_than_are_legible_are_counted(digits):
    predictions = known_predictions(
        digits, lambda name, classes: classes.fill(0)
    )
    found = find_mistakes(predictions)
    assert len(found) == 50  # with any number but 0, also for a 0
    figure = image_grids.mistakes(predictions, found)
    assert figure.get_suptitle() == (
        "50 of 50 test images have a wrong prediction: the surest 40"
    )
    assert sum(bool(axes.images) for axes in figure.axes) == 40


def test_overview_shows_every_prediction_and_what_was_learned(digits):
    def change(name, classes):
        if name == "sum":
            classes[:, 3] = 18

    predictions = known_predictions(digits, change, SIGNED)
    table = right_tables(SIGNED)["sum"]
    table[9, 9] = np.eye(19)[0]  # 9 + 9 = 0
    figure = image_grids.overview(predictions, {"sum": table}, "a title")
    assert figure.get_suptitle() == "a title"
    *images, learned = figure.axes
    chosen = np.linspace(0, 49, 20).astype(int)
    for i, (axes, image) in enumerate(zip(images, chosen, strict=True)):
        label, number = int(predictions.digits[image]), i * 3 % 10
        said = 18 if number == 3 else label + number
        difference = str(label - number).replace("-", "−")
        assert axes.get_title() == (
            f"{label} + {number} = {said}\n{label} − {number} = {difference}"
        )
        wrong = axes.title.get_color() == charts.WRONG
        assert wrong == (number == 3)
    assert learned.get_title() == "learned sum: 99 of 100 cells right"
    assert is_framed_as_wrong(learned)
    # What was given, not learned, is no picture of its own.
    narrow = image_grids.overview(predictions, {}, "a title")
    assert len(narrow.axes) == 20
    assert narrow.get_figwidth() < figure.get_figwidth()


def test_every_output_of_a_task_is_in_every_grid(digits):
    """Whatever the outputs are called, and wherever the digit stands."""
    outputs = known_outputs(digits, task=PRODUCT)
    outputs["product"][14, 5] = np.roll(outputs["product"][14, 5], 1)
    predictions = Predictions(*digits, PRODUCT, outputs)
    overview = image_grids.overview(
        predictions, right_tables(PRODUCT), "a title"
    )
    *images, product, greater = overview.axes
    chosen = np.linspace(0, 49, 20).astype(int)
    for i, (axes, image) in enumerate(zip(images, chosen, strict=True)):
        d, n = int(predictions.digits[image]), i * 3 % 10
        assert axes.get_title() == f"{d} × {n} = {d * n}\n{d} > {n} = {d > n:d}"
    assert product.get_title() == "learned product: 100 of 100 cells right"
    assert greater.get_title() == "learned greater: 100 of 100 cells right"

    first = image_grids.examples(predictions).axes[0]  # a 0, with the number 0
    assert [text.get_text() for text in first.texts if text.get_text()] == [
        *("number", "0", "label", "model"),
        *("product", "0", "0"),
        *("digit", "0", "0"),
        *("greater", "0", "0"),
    ]
    [mistake] = find_mistakes(predictions)
    # The product 20 is followed by 21.
    assert image_grids.describe(predictions, mistake) == "4 × 5 = 20, said 21"


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_texts_of_examples_do_not_overlap(digits, count):
    more = {f"output{i}": lambda d, n: d + n for i in range(count - 1)}
    task = Task(digit=lambda d, n: d, **more)
    figure = image_grids.examples(known_predictions(digits, task=task))
    figure.draw_without_rendering()
    boxes = [
        text.get_window_extent().padded(-1)
        for axes in figure.axes
        for text in axes.texts
        if text.get_text()
    ]
    assert len(boxes) == 20 * (4 + 3 * count)
    assert min(box.y0 for box in boxes) > 0
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


LONG = Task(
    remainder_of_division=lambda d, n: d % (n + 1),
    digit=lambda d, n: d,
    power=lambda d, n: d ** min(n, 5),
)


def all_texts(figure):
    """The boxes of all that is written in a figure but its ticks."""
    figure.draw_without_rendering()
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += [axes.title, *axes.texts]
    return [x.get_window_extent().padded(-1) for x in texts if x.get_text()]


def test_long_names_and_values_have_room(digits):
    wrong = known_predictions(digits, lambda name, x: x.fill(1), LONG)
    numbers = np.arange(50) % 10
    targets = {x: LONG[x].pair_values[digits[1], numbers] for x in LONG}
    floats = digits[0] / np.float32(255)
    title = f"a run: {wrong.scores.title()}\nand what it was trained on"
    for figure in (
        image_grids.overview(wrong, {}, title),
        image_grids.overview(wrong, right_tables(LONG), title),
        image_grids.examples(wrong),
        image_grids.mistakes(wrong, find_mistakes(wrong)),
        image_grids.batch(floats, numbers, targets, "a batch " * 20),
    ):
        boxes = all_texts(figure)
        for box in boxes:
            assert box.x0 > 0 and box.x1 < figure.bbox.width
            assert box.y0 > 0 and box.y1 < figure.bbox.height
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other)


def test_batch_shows_numbers_and_targets_of_every_output(digits):
    images = digits[0][..., np.newaxis] / np.float32(255)
    numbers = np.arange(50) % 10
    targets = {
        name: PRODUCT[name].pair_values[digits[1], numbers] for name in PRODUCT
    }
    figure = image_grids.batch(images, numbers, targets, "batch 3")
    assert figure.get_suptitle() == (
        "batch 3\nImage and number go in; product, digit, greater are to come "
        "out"
    )
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 40
    for i, axes in enumerate(drawn):
        label = digits[1][i]
        assert axes.get_title() == f"number {numbers[i]}"
        [text] = axes.texts
        assert text.get_text() == (
            f"product {label * numbers[i]}, digit {label}\n"
            f"greater {label > numbers[i]:d}"
        )


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (32, 40, 3)])
def test_images_may_have_colours_and_another_size(digits, shape):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, *shape), "uint8")
    labels = digits[1]
    outputs = known_outputs(digits)
    outputs["digit"][3] = np.roll(outputs["digit"][3], 1, axis=-1)
    predictions = Predictions(images, labels, Task.named(), outputs)
    figures = [
        image_grids.overview(predictions, {}, "a title"),
        image_grids.examples(predictions),
        image_grids.mistakes(predictions, find_mistakes(predictions)),
    ]
    for figure, first in zip(figures, (0, 0, 3), strict=True):
        figure.savefig(BytesIO())
        shown = figure.axes[0].images[0].get_array()
        np.testing.assert_array_equal(shown, images[first])
    floats = images[:2] / np.float32(255)
    targets = {"digit": [0, 1], "sum": [0, 1]}
    figure = image_grids.batch(floats, [0, 1], targets, "a batch")
    figure.savefig(BytesIO())
    shown = figure.axes[1].images[0].get_array()
    np.testing.assert_array_equal(shown, floats[1])


def test_path_with_dollar_signs_is_no_formula(digits):
    path = r"/data/$a_$b/\frac.npz"
    images, _ = digits
    targets = {"digit": [0], "sum": [0], "difference": [0]}
    drawn = image_grids.batch(images[:1, ..., np.newaxis], [0], targets, path)
    overview = image_grids.overview(known_predictions(digits), {}, path)
    for figure in (drawn, overview):
        figure.savefig(BytesIO())
        assert path in figure.get_suptitle()
