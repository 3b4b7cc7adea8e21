"""Pictures of many images say what was predicted, and mark mistakes."""

from io import BytesIO

import numpy as np
import pytest

from keras_mnist_sum.evaluation.mistakes import find_mistakes
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.task import Task
from tests.evaluation.known_model import known_outputs
from tests.evaluation.known_model import known_predictions
from tests.evaluation.known_model import right_tables
from tests.reporting.figures import caption
from tests.reporting.figures import is_framed_as_wrong
from tests.reporting.figures import outlined_cells
from tests.reporting.figures import wrong_lines

SIGNED = Task.named(difference="signed")
PRODUCT = Task.named(("product", "digit", "greater"))


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
    assert [caption(axes) for axes in figure.axes] == [
        ["4 + 5 = 9, said 2", "97.0 % sure", "1 of 10 pairs wrong"],
        ["3 read as 7", "61.0 % sure"],
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
    *images, learned, predicted = figure.axes
    chosen = np.linspace(0, 49, 20).astype(int)
    for i, (axes, image) in enumerate(zip(images, chosen, strict=True)):
        label, number = int(predictions.digits[image]), i * 3 % 10
        said = 18 if number == 3 else label + number
        difference = str(label - number).replace("-", "−")
        assert caption(axes) == [
            f"{label} + {number} = {said}",
            f"{label} − {number} = {difference}",
        ]
        assert wrong_lines(axes) == caption(axes)[: number == 3]
        assert is_framed_as_wrong(axes) == (number == 3)
    assert learned.get_title() == "sum\nlearned: 99 of 100 cells right"
    assert outlined_cells(learned) == {(9, 9)}
    # What was not learned, or is not seen, is counted.
    assert predicted.get_title() == (
        "difference\npredicted most often: 100 of 100 cells right"
    )


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
        assert caption(axes) == [
            f"{d} × {n} = {d * n}",
            f"{d} > {n} = {d > n:d}",
        ]
    assert product.get_title() == "product\nlearned: 100 of 100 cells right"
    assert greater.get_title() == "greater\nlearned: 100 of 100 cells right"

    [mistake] = find_mistakes(predictions)
    # The product 20 is followed by 21.
    assert image_grids.describe(predictions, mistake) == "4 × 5 = 20, said 21"


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
        assert caption(axes) == [
            f"number {numbers[i]}",
            f"product {label * numbers[i]}, digit {label}",
            f"greater {label > numbers[i]:d}",
        ]


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
        image_grids.mistakes(predictions, find_mistakes(predictions)),
    ]
    for figure, first in zip(figures, (0, 3), strict=True):
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
