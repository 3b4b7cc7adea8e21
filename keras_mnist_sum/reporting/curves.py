"""`curves.png`: how a run went, drawn from its `history.csv`."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.ticker import NullFormatter

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.reporting.layout import FAINT
from keras_mnist_sum.reporting.layout import RIGHT
from keras_mnist_sum.reporting.layout import WIDTH
from keras_mnist_sum.reporting.layout import WRONG
from keras_mnist_sum.reporting.layout import new_figure
from keras_mnist_sum.reporting.layout import set_title
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.atomic_files import atomic_write
from keras_mnist_sum.utils.atomic_files import read_text

# Told apart without colour vision, too: by their markers.
_TRAINING: dict[str, Any] = dict(color=RIGHT, marker="o", markersize=4)
_VALIDATION: dict[str, Any] = dict(color=WRONG, marker="D", markersize=4)


def read_history(path: Path, task: Task) -> list[dict[str, float]]:
    """Reads a run's `history.csv`.

    Args:
        path: The file.
        task: Of the run.

    Returns:
        The epochs: `epoch`, `step`, `seconds`, `learning_rate`, and the loss
        and accuracy (0-1) of each output, `digit_loss` for example; those on
        validation images begin with `val_`.

    Raises:
        InputError: If it cannot be read, or is another kind of file.
    """
    rows = csv.DictReader(io.StringIO(read_text(path)))
    needed = {"step", "learning_rate"}
    for name in task:
        needed |= {f"{name}_loss", f"{name}_accuracy"}
    try:
        history = [{k: float(v) for k, v in row.items()} for row in rows]
    except (TypeError, ValueError, csv.Error):  # Columns missing, or words.
        history = []
    if not history or not needed <= set(history[0]):
        raise InputError(
            f"This is not the history of a run. Received: {str(path)!r}"
        )
    return history


def save_curves(
    path: Path, history: Path, task: Task, title: str, rates: np.ndarray
) -> None:
    """Draws wrong answers and loss of each output, in training and validation,
    and the learning rate.

    What it shows of training is the mean over an epoch, while the weights
    changed, drawn across the steps of the epoch; validation has the weights of
    its end.

    Args:
        path: The PNG file to write.
        history: The run's `history.csv`.
        task: Of the run.
        title: A line for the top.
        rates: Float array of shape `(2, points)`: steps, from 0 to the last
            one of the run, and the scheduled learning rate at each.

    Raises:
        InputError: If the history cannot be read, or the picture not written.
    """
    rows = read_history(history, task)
    columns = min(len(task), 3)
    bands = -(-len(task) // columns)
    figure = new_figure(title, WIDTH, 0.9 + 3.6 * bands + 1.5)
    grid = figure.add_gridspec(
        2 * bands + 1, columns, height_ratios=[*(2 * bands * [1]), 0.7]
    )
    for place, name in enumerate(task):
        band, column = divmod(place, columns)
        upper = figure.add_subplot(grid[2 * band, column])
        lower = figure.add_subplot(grid[2 * band + 1, column])
        set_title(upper, name, pad=16)
        _draw(upper, rows, f"{name}_accuracy", _wrong, "{:.2f} %")
        _draw(lower, rows, f"{name}_loss", float, "{:,.3f}")
        lower.set_xlabel("step", fontsize=9)
        if column == 0:
            upper.set_ylabel("wrong, %", fontsize=9)
            lower.set_ylabel("loss", fontsize=9)
        for axes in (upper, lower):
            _finish(axes, 1.02 * rates[0, -1])
    _draw_rate(figure.add_subplot(grid[-1, :]), rows, rates)
    figure.legend(
        handles=[
            Line2D([], [], **_TRAINING, label="training: mean over an epoch"),
            Line2D([], [], **_VALIDATION, label="validation: after an epoch"),
        ][: 1 + (f"val_{next(iter(task))}_loss" in rows[0])],
        fontsize=8,
        loc="outside lower left",
        ncols=2,
        frameon=False,
    )
    with atomic_write(path) as partial:
        figure.savefig(partial)


def _wrong(accuracy: float) -> float:
    return 100 * (1 - accuracy)


def _draw(
    axes: Axes,
    rows: list[dict],
    name: str,
    convert: Callable[[float], float],
    words: str,
) -> None:
    """Draws training, each mean over the steps that it was taken of, and
    validation, and says where they ended."""
    ends = np.array([row["step"] for row in rows])
    begins = np.array([0, *ends[:-1]])
    values = [convert(row[name]) for row in rows]
    axes.errorbar(
        (begins + ends) / 2, values, xerr=(ends - begins) / 2, **_TRAINING
    )
    last = [(f"● {words.format(values[-1])}", _TRAINING["color"])]
    if f"val_{name}" in rows[0]:
        values = [convert(row[f"val_{name}"]) for row in rows]
        axes.plot(ends, values, **_VALIDATION)
        last.append((f"◆ {words.format(values[-1])}", _VALIDATION["color"]))
    for x, (text, color) in enumerate(last):
        axes.text(
            x,
            1.02,
            text,
            color=color,
            ha="right" if x else "left",
            transform=axes.transAxes,
            fontsize=8,
        )


def _finish(axes: Axes, end: float) -> None:
    """A logarithmic axis, on which what is 0 lies at the bottom; a linear one
    if there is less than 0, as of the loss `negative_probability`."""
    values = np.concatenate([line.get_ydata() for line in axes.get_lines()])
    positive = values[values > 0]
    if (values >= 0).all() and len(positive):
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(positive.min() / 2, 2 * positive.max())
        for line in axes.get_lines():
            line.set_ydata(np.maximum(line.get_ydata(), positive.min() / 2))
        axes.yaxis.set_major_formatter(_plain)
        few = positive.max() < 100 * positive.min()  # Else labels would touch.
        axes.yaxis.set_minor_formatter(_sparse if few else NullFormatter())
    axes.set_xlim(0, end)
    _style(axes)


def _style(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(labelsize=8, which="both")
    axes.grid(alpha=0.3)


def _draw_rate(axes: Axes, rows: list[dict], rates: np.ndarray) -> None:
    axes.plot(*rates, color=FAINT)
    axes.plot(
        [row["step"] for row in rows],
        [row["learning_rate"] for row in rows],
        "o",
        markersize=4,
        color=FAINT,
        clip_on=False,
    )
    axes.set_xlim(0, 1.02 * rates[0, -1])
    axes.set_ylim(bottom=0)
    set_title(axes, "learning rate")
    axes.set_xlabel("step", fontsize=9)
    _style(axes)


def _plain(value: float, position: float) -> str:
    return f"{value:,g}"


def _sparse(value: float, position: float) -> str:
    """Labels 2 and 5 between the powers of ten."""
    return f"{value:,g}" if f"{value:e}"[0] in "25" else ""
