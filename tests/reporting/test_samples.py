"""What a figure says of a model as it trains."""

import numpy as np

from keras_mnist_sum.reporting.samples import draw_samples
from keras_mnist_sum.reporting.samples import draw_table
from keras_mnist_sum.task import Task
from tests.evaluation.known_model import right_tables
from tests.reporting.figures import caption
from tests.reporting.figures import is_framed_as_wrong
from tests.reporting.figures import wrong_lines


def test_wrong_cells_of_a_table_are_outlined():
    output = Task.named()["sum"]
    table = right_tables(Task.named())["sum"]
    table[4, 5] = np.roll(table[4, 5], 1)
    axes = draw_table(table, output, 1234).axes[0]
    assert axes.get_title() == "sum after 1,234 steps\n99 of 100 cells right"
    [outline] = axes.patches
    assert outline.get_xy() == (5 - 0.46, 4 - 0.46)  # number 5, digit 4


def test_wrong_samples_say_what_was_right(digits):
    images, labels = digits
    predicted = {"digit": [0, 2], "sum": [3, 5], "difference": [3, 1]}
    figure = draw_samples(
        images[:2], labels[:2], [3, 3], predicted, Task.named()
    )
    right, wrong = figure.axes
    assert caption(right) == ["0 + 3 = 3", "|0 − 3| = 3"]
    assert not wrong_lines(right)
    assert caption(wrong) == ["2 + 3 = 5", "|2 − 3| = 1", "1 read as 2"]
    assert wrong_lines(wrong) == caption(wrong)


def test_only_the_output_that_is_wrong_is_marked(digits):
    images, labels = digits
    predicted = {"digit": [0, 1], "sum": [3, 5], "difference": [3, 2]}
    figure = draw_samples(
        images[:2], labels[:2], [3, 3], predicted, Task.named()
    )
    right, wrong = figure.axes
    assert caption(wrong) == ["1 + 3 = 5", "|1 − 3| = 2"]
    assert wrong_lines(wrong) == ["1 + 3 = 5"]
    assert is_framed_as_wrong(wrong) and not is_framed_as_wrong(right)
