"""`curves.png`: how a run went, drawn from its `history.csv`."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.atomic_files import atomic_write
from keras_mnist_sum.utils.atomic_files import read_text

# Told apart without colour vision, too: by their markers.
_TRAINING: dict[str, Any] = dict(color="#0072b2", marker="o", markersize=4)
_VALIDATION: dict[str, Any] = dict(color="#c04a00", marker="D", markersize=4)


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
    """Draws accuracy and loss of each output, in training and validation, and
    the learning rate.

    What it shows of training is the mean over an epoch, while the weights
    changed; validation has the weights of its end.

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
    columns = max(len(task), 2)
    figure = Figure(
        figsize=(10 * columns / 3, 7.8), dpi=100, layout="constrained"
    )
    figure.suptitle(
        f"{title}\ntraining: mean over each epoch; validation: after it",
        fontsize=12,
        x=0.01,
        ha="left",
    )
    grid = figure.add_gridspec(3, len(task), height_ratios=[3, 3, 1.6])
    upper = None
    for column, name in enumerate(task):
        upper = figure.add_subplot(grid[0, column], sharey=upper)
        lower = figure.add_subplot(grid[1, column])
        upper.set_title(name, fontweight="bold", pad=20)
        _draw(upper, rows, f"{name}_accuracy", 100, "{:.2f} %")
        _draw(lower, rows, f"{name}_loss", 1, "{:.3f}")
        if column == 0:
            upper.set_ylabel("accuracy, %")
            lower.set_ylabel("loss")
        for axes in (upper, lower):
            axes.set_xlim(0, 1.02 * rates[0, -1])
            axes.set_xlabel("step")
        if all(np.min(line.get_ydata()) > 0 for line in lower.get_lines()):
            lower.set_yscale("log")
            lower.yaxis.set_major_formatter(FuncFormatter(_plain))
            lower.yaxis.set_minor_formatter(FuncFormatter(_sparse))
    _draw_rate(figure.add_subplot(grid[2, :]), rows, rates)
    with atomic_write(path) as partial:
        figure.savefig(partial)


def _draw(
    axes: Axes, rows: list[dict], name: str, scale: int, words: str
) -> None:
    steps = [row["step"] for row in rows]
    values = [scale * row[name] for row in rows]
    axes.plot(steps, values, **_TRAINING)
    said: dict[str, Any] = dict(transform=axes.transAxes, fontsize=9)
    text = f"● training {words.format(values[-1])}"
    axes.text(0, 1.02, text, color=_TRAINING["color"], **said)
    if f"val_{name}" in rows[0]:
        values = [scale * row[f"val_{name}"] for row in rows]
        axes.plot(steps, values, **_VALIDATION)
        text = f"◆ validation {words.format(values[-1])}"
        axes.text(1, 1.02, text, color=_VALIDATION["color"], ha="right", **said)
    axes.grid(alpha=0.3, which="both")


def _draw_rate(axes: Axes, rows: list[dict], rates: np.ndarray) -> None:
    axes.plot(*rates, color="#666666")
    axes.plot(
        [row["step"] for row in rows],
        [row["learning_rate"] for row in rows],
        "o",
        markersize=4,
        color="#666666",
        clip_on=False,
    )
    axes.set_xlim(0, 1.005 * rates[0, -1])
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.set_title("learning rate", fontweight="bold")
    axes.set_xlabel("step")


def _plain(value: float, position: int) -> str:
    return f"{value:g}"


def _sparse(value: float, position: int) -> str:
    """Labels 2 and 5 between the powers of ten."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""
