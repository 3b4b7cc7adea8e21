"""What a figure says of a model as it trains."""

import numpy as np

from keras_mnist_sum.reporting.samples import draw_samples
from keras_mnist_sum.reporting.samples import draw_table
from keras_mnist_sum.task import Task
from tests.evaluation.known_model import right_tables


def test_wrong_cells_of_a_table_are_outlined():
    output = Task.named()["sum"]
    table = right_tables(Task.named())["sum"]
    table[4, 5] = np.roll(table[4, 5], 1)
    axes = draw_table(table, output).axes[0]
    assert axes.get_title() == "sum: 99 of 100 cells right"
    [outline] = axes.patches
    assert outline.get_xy() == (5 - 0.46, 4 - 0.46)  # number 5, digit 4


def test_wrong_samples_say_what_was_right(digits):
    images, labels = digits
    predicted = {"digit": [0, 2], "sum": [3, 5], "difference": [3, 1]}
    figure = draw_samples(
        images[:2], labels[:2], [3, 3], predicted, Task.named()
    )
    right, wrong = (axes.get_title() for axes in figure.axes)
    assert right == "0 + 3 = 3\n|0 − 3| = 3"
    assert wrong == "2 + 3 = 5\n|2 − 3| = 1\nit is a 1"
