"""Figures of a model as it trains: its predictions for ten images, and what it
has learned of an output so far."""

import numpy as np
from matplotlib.figure import Figure

from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.reporting import pair_tables
from keras_mnist_sum.reporting.layout import Sheet
from keras_mnist_sum.reporting.layout import set_title
from keras_mnist_sum.task import Output
from keras_mnist_sum.task import Task

_DPI = 100


def draw_samples(
    images: np.ndarray,
    labels: np.ndarray,
    numbers: np.ndarray,
    predicted: dict[str, np.ndarray],
    task: Task,
) -> Figure:
    """Draws predictions for images, each with one number; what is wrong of them
    is bold and in colour.

    Args:
        images: uint8 array of shape `(examples, 28, 28)`, at most ten.
        labels: Integer array of shape `(examples,)`.
        numbers: Integer array of shape `(examples,)`.
        predicted: By output, integer array of shape `(examples,)`.
        task: What was asked.
    """
    sheet = Sheet("Predictions for images, each with a number")
    sheet.figure.set_dpi(_DPI)
    image_grids.add_answers(
        sheet, images, labels, numbers, predicted, task, most_columns=5
    )
    return sheet.figure


def draw_table(table: np.ndarray, output: Output, step: int) -> Figure:
    """Draws how likely a model holds the right value of each pair to be, and
    which value it holds to be the most likely one.

    Args:
        table: Float array of shape `(10, 10, classes)`.
        output: What it is a table of.
        step: After how many steps of training.
    """
    figure = Figure(figsize=(4.2, 3.6), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    digit, number = np.indices(output.table.shape)
    shares = table[digit, number, output.table]  # (10, 10)
    values = output.decode(table)
    cells = pair_tables.draw_table(axes, values, output, shares)
    figure.colorbar(cells, label="probability of the right value")
    right = int((values == output.pair_values).sum())
    set_title(
        axes,
        f"{output.name} after {step:,} steps",
        f"{right} of 100 cells right",
        size=11,
    )
    return figure
