"""Tables of digits by numbers show every cell, and which are wrong."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from keras_mnist_sum.reporting import pair_tables
from keras_mnist_sum.reporting.layout import Sheet
from keras_mnist_sum.task import DIFFERENCES
from keras_mnist_sum.task import Task
from tests.evaluation.known_model import known_predictions
from tests.evaluation.known_model import right_tables
from tests.reporting.figures import cell_texts
from tests.reporting.figures import check_texts
from tests.reporting.figures import outlined_cells

PRODUCT = Task.named(("product", "digit", "greater"))


def tables_of(predictions, learned):
    sheet = Sheet("a title")
    pair_tables.add_tables(sheet, predictions, learned)
    return sheet.figure.axes


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_wrong_cells_of_learned_tables_are_outlined(digits, difference):
    task = Task.named(difference=difference)
    predictions = known_predictions(digits, task=task)
    tables = right_tables(task)
    tables["sum"][4, 5] = np.roll(tables["sum"][4, 5], 1)
    sums, differences = tables_of(predictions, tables)
    assert outlined_cells(sums) == {(4, 5)}
    assert outlined_cells(differences) == set()
    assert cell_texts(sums)[4, 5] == "10" and cell_texts(sums)[9, 9] == "18"
    low = "9" if difference == "absolute" else "−9"
    assert cell_texts(differences)[0, 9] == low
    assert sums.get_title() == "sum\nlearned: 99 of 100 cells right"


def test_without_tables_the_most_common_predictions_are_drawn(digits):
    def change(name, classes):
        if name == "difference":
            classes[:, 2] = 9

    predictions = known_predictions(digits, change)
    learned = right_tables(predictions.task)["sum"]
    for tables in ({}, {"sum": learned}):
        sums, differences = tables_of(predictions, tables)
        assert sums.get_title().startswith(
            "sum\nlearned" if tables else "sum\npredicted most often"
        )
        assert differences.get_title() == (
            "difference\npredicted most often: 90 of 100 cells right"
        )
        assert outlined_cells(sums) == set()
        assert outlined_cells(differences) == {
            (digit, 2) for digit in range(10)
        }


def test_tables_are_drawn_of_every_output_of_a_task(digits):
    """The values of the product have gaps, and the digit is not the first."""
    learned = right_tables(PRODUCT)["product"]
    learned[7, 5] = np.eye(len(learned[7, 5]))[-1]  # 81
    predictions = known_predictions(digits, task=PRODUCT)
    products, greater = tables_of(predictions, {"product": learned})
    assert outlined_cells(products) == {(7, 5)}
    for digit, number in np.ndindex(10, 10):
        value = 81 if (digit, number) == (7, 5) else digit * number
        assert cell_texts(products)[digit, number] == str(value)
        expected = "1" if digit > number else "0"
        assert cell_texts(greater)[digit, number] == expected
    assert greater.get_title() == (
        "greater\npredicted most often: 100 of 100 cells right"
    )


def test_digit_without_images_leaves_its_row_empty():
    output = Task.named()["sum"]
    values = output.pair_values.astype("float64")
    values[3] = np.nan
    axes = Figure().add_subplot()
    pair_tables.draw_table(axes, values, output)
    assert not axes.patches and len(axes.texts) == 90


def test_accuracy_is_shown_of_every_digit_with_every_number(digits):
    def change(name, classes):
        if name == "sum":
            classes[::7, 4] += 1

    figure = pair_tables.accuracy(known_predictions(digits, change))
    shown = {axes.get_title(): cell_texts(axes) for axes in figure.axes[:4]}
    assert list(shown) == ["digit", "sum", "difference", "all"]
    for name, cells in shown.items():
        assert len(cells) == 100
        wrong = {cell for cell, text in cells.items() if text != "100"}
        if name in ("sum", "all"):  # one of the five images of a digit
            assert wrong == {(7 * i % 10, 4) for i in range(8)}
            assert {cells[cell] for cell in wrong} == {"80.0"}
        else:
            assert not wrong


@pytest.mark.parametrize(
    "outputs",
    [("digit", "greater"), ("product", "digit", "greater", "sum")],
)
def test_accuracy_has_a_panel_for_each_output_and_for_all(digits, outputs):
    predictions = known_predictions(digits, task=Task.named(outputs))
    figure = pair_tables.accuracy(predictions)
    titles = [axes.get_title() for axes in figure.axes if axes.texts]
    assert titles == [*outputs, "all"]


def test_models_are_drawn_side_by_side_in_letters_for_small_pages(digits):
    """Of 9 pixels at least where the picture is 500 pixels wide."""

    def change(name, classes):
        if name == "sum":
            classes[:, 2] = 18

    models = {
        "right": known_predictions(digits),
        "a_model_with_a_long_name": known_predictions(digits, change),
    }
    figure = pair_tables.most_common(models, ("sum", "difference"))
    check_texts(figure)
    _, _, sums, differences, _ = figure.axes
    assert sums.get_title() == (
        "a_model_with_a_long_name: sum\n90 of 100 answers right"
    )
    assert differences.get_title().endswith("100 of 100 answers right")
    assert {cell_texts(sums)[digit, 2] for digit in range(10)} == {"18"}
    texts = figure.findobj(lambda x: isinstance(x, Text) and x.get_text())
    smallest = min(text.get_fontsize() for text in texts if text.get_visible())
    assert smallest * 500 / figure.get_figwidth() / 72 > 9
