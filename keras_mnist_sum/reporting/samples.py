"""Figures of a model as it trains: its predictions for ten images, and what it
has learned of an output so far."""

import numpy as np
from matplotlib.figure import Figure

from keras_mnist_sum.reporting import charts
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.reporting import pair_tables
from keras_mnist_sum.task import Output
from keras_mnist_sum.task import Task


def draw_samples(
    images: np.ndarray,
    labels: np.ndarray,
    numbers: np.ndarray,
    predicted: dict[str, np.ndarray],
    task: Task,
) -> Figure:
    """Draws predictions for images, each with one number; wrong ones in colour.

    Args:
        images: uint8 array of shape `(examples, 28, 28)`, at most ten.
        labels: Integer array of shape `(examples,)`.
        numbers: Integer array of shape `(examples,)`.
        predicted: By output, integer array of shape `(examples,)`.
        task: What was asked.
    """
    height = 4.2 + 0.35 * max(len(task) - 3, 0)
    figure = Figure(figsize=(8, height), dpi=100, layout="constrained")
    for i, (number, label) in enumerate(zip(numbers, labels, strict=True)):
        values = {name: predicted[name][i] for name in task}
        right = all(
            values[name] == output.pair_values[label, number]
            for name, output in task.items()
        )
        axes = figure.add_subplot(2, 5, i + 1)
        image_grids.draw_image(axes, images[i])
        lines = image_grids.describe_pair(task, values, number)
        lines += [f"it is a {label}"] * (not right)
        axes.set_title(
            "\n".join(lines),
            fontsize=charts.font_size(lines, 1.4, 10),
            color=charts.TEXT if right else charts.WRONG,
            fontweight="normal" if right else "bold",
        )
    return figure


def draw_table(table: np.ndarray, output: Output) -> Figure:
    """Draws how likely a model holds the right value of each pair to be, and
    which value it holds to be the most likely one.

    Args:
        table: Float array of shape `(10, 10, classes)`.
        output: What it is a table of.
    """
    figure = Figure(figsize=(5, 5.2), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    digit, number = np.indices(output.table.shape)
    shares = table[digit, number, output.table]  # (10, 10)
    values = output.decode(table)
    cells = pair_tables.draw_table(axes, values, output, shares)
    figure.colorbar(cells, label="probability of the right value", shrink=0.7)
    right = int((values == output.pair_values).sum())
    axes.set_title(f"{output.name}: {right} of 100 cells right")
    return figure
