"""The picture of a run: answers to test images, and what it learned."""

from pathlib import Path

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_mnist_sum import task
from keras_mnist_sum.charts import TEXT
from keras_mnist_sum.charts import WRONG
from keras_mnist_sum.charts import draw_table
from keras_mnist_sum.evaluation import Answerer
from keras_mnist_sum.evaluation import table_cells_right
from keras_mnist_sum.models import learned_tables
from keras_mnist_sum.runs import written_aside


def save_overview(
    path: Path,
    model: keras.Model,
    answerer: Answerer,
    images: np.ndarray,
    labels: np.ndarray,
    difference: str,
    title: str,
) -> None:
    """Draws a model's answers to 20 test images, and its learned tables.

    Args:
        path: The PNG file to write.
        model: The model, for the tables that it learned, if any.
        answerer: The same model, for its answers.
        images: uint8 array of shape `(examples, 28, 28)`: the test images.
        labels: Integer array of shape `(examples,)`.
        difference: Which difference the model computes.
        title: A line for the top: which model, how good.
    """
    outputs = task.outputs(difference)
    tables = learned_tables(model)
    cells = table_cells_right(model, difference)
    figure = Figure(figsize=(13, 6.2) if tables else (6.8, 6.2), dpi=110)
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=13, x=0.02, ha="left")
    grid = figure.add_gridspec(
        4, 5, left=0.02, right=0.44 if tables else 0.98, bottom=0.01, top=0.83
    )
    # Spread over the set, with every number twice.
    chosen = np.linspace(0, len(images) - 1, 20).astype(int)
    numbers = np.arange(20) * 3 % task.NUM_DIGITS
    predictions = answerer(images[chosen, ..., np.newaxis] / np.float32(255))
    answers = {
        name: output.answers(predictions[name])
        for name, output in outputs.items()
    }  # (20, 10) each
    for i, (index, number) in enumerate(zip(chosen, numbers)):
        axes = figure.add_subplot(grid[i // 5, i % 5])
        axes.imshow(images[index], cmap="gray_r")
        axes.set_axis_off()
        answer = {name: answers[name][i, number] for name in outputs}
        right = all(
            answer[name] == output.truth[labels[index], number]
            for name, output in outputs.items()
        )
        bars = "|" if difference == "absolute" else ""
        axes.set_title(
            f"{answer['digit']} + {number} = {answer['sum']}\n"
            f"{bars}{answer['digit']} − {number}{bars} = "
            f"{answer['difference']}",
            fontsize=9,
            color=TEXT if right else WRONG,
            fontweight="normal" if right else "bold",
        )
    sides = figure.add_gridspec(
        1, 2, left=0.5, right=0.985, top=0.9, wspace=0.15
    )
    for column, (name, table) in enumerate(tables.items()):
        axes = figure.add_subplot(sides[column])
        draw_table(axes, outputs[name].answers(table), outputs[name])
        axes.set_title(
            f"learned {name}: {cells[name]} of 100 cells right",
            fontsize=11,
            pad=8,
        )
    with written_aside(path) as aside:
        figure.savefig(aside)
