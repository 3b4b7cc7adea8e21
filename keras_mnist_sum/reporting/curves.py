"""`curves.png`: how a run went, drawn from its `history.csv`."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.training.optimization import learning_rate_schedule
from keras_mnist_sum.utils import atomic_files

# Told apart without colour vision, too: by their markers.
_TRAINING: dict[str, Any] = dict(color="#0072b2", marker="o", markersize=4)
_HELD_OUT: dict[str, Any] = dict(color="#c04a00", marker="D", markersize=4)


def read_history(path: Path) -> list[dict[str, float]]:
    """Reads a run's `history.csv`.

    Returns:
        The epochs: `epoch`, `step`, `seconds`, `learning_rate`, and the loss
        and accuracy (0-1) of each output, `digit_loss` for example; those on
        held-out images begin with `val_`.

    Raises:
        InputError: If it cannot be read, or is no such file.
    """
    rows = csv.DictReader(io.StringIO(atomic_files.read_text(path)))
    needed = {"step", "learning_rate"}
    for name in task.outputs():
        needed |= {f"{name}_loss", f"{name}_accuracy"}
    try:
        history = [{k: float(v) for k, v in row.items()} for row in rows]
    except (TypeError, ValueError, csv.Error):  # Columns missing, or words.
        history = []
    if not history or not needed <= set(history[0]):
        raise InputError(
            f"This is no history of a run. Received: {str(path)!r}"
        )
    return history


def save_curves(path: Path, history: Path, config: Config) -> None:
    """Draws accuracy and loss of each output, on training and on held-out
    images, and the learning rate.

    What it shows of training is the mean over an epoch, while the weights
    changed; held-out images are scored with those of its end. The learning
    rate is the schedule of the config, with what the history has of it.

    Args:
        path: The PNG file to write.
        history: The run's `history.csv`.
        config: The run.

    Raises:
        InputError: If the history cannot be read, or the picture not written.
    """
    rows = read_history(history)
    outputs = task.outputs(config.difference)
    figure = Figure(figsize=(10, 7.8), dpi=100, layout="constrained")
    figure.suptitle(
        f"{config.preset}: {config.steps:,} steps of {config.batch_size}, "
        f"{config.head} heads\ntraining: mean over each epoch; held out: "
        "after it",
        fontsize=12,
        x=0.01,
        ha="left",
    )
    grid = figure.add_gridspec(3, len(outputs), height_ratios=[3, 3, 1.6])
    # Losses of another kind have another scale.
    alike = config.head != "regression"
    alike = alike and config.digit_loss == "cross_entropy"
    upper = lower = None
    for column, name in enumerate(outputs):
        upper = figure.add_subplot(grid[0, column], sharey=upper)
        lower = figure.add_subplot(
            grid[1, column], sharey=lower if alike else None
        )
        upper.set_title(name, fontweight="bold", pad=20)
        _draw(upper, rows, f"{name}_accuracy", 100, "{:.2f} %")
        _draw(lower, rows, f"{name}_loss", 1, "{:.3f}")
        if column == 0:
            upper.set_ylabel("accuracy, %")
            lower.set_ylabel("loss")
        for axes in (upper, lower):
            axes.set_xlim(0, 1.02 * config.steps)
            axes.set_xlabel("step")
        if all(np.min(line.get_ydata()) > 0 for line in lower.get_lines()):
            lower.set_yscale("log")
            lower.yaxis.set_major_formatter(FuncFormatter(_plain))
            lower.yaxis.set_minor_formatter(FuncFormatter(_sparse))
    _draw_rate(figure.add_subplot(grid[2, :]), rows, config)
    with atomic_files.written_aside(path) as aside:
        figure.savefig(aside)


def _draw(axes: Axes, rows: list, name: str, scale: int, words: str) -> None:
    steps = [row["step"] for row in rows]
    values = [scale * row[name] for row in rows]
    axes.plot(steps, values, **_TRAINING)
    said: dict[str, Any] = dict(transform=axes.transAxes, fontsize=9)
    text = f"● training {words.format(values[-1])}"
    axes.text(0, 1.02, text, color=_TRAINING["color"], **said)
    if f"val_{name}" in rows[0]:
        values = [scale * row[f"val_{name}"] for row in rows]
        axes.plot(steps, values, **_HELD_OUT)
        text = f"◆ held out {words.format(values[-1])}"
        axes.text(1, 1.02, text, color=_HELD_OUT["color"], ha="right", **said)
    axes.grid(alpha=0.3, which="both")


def _draw_rate(axes: Axes, rows: list, config: Config) -> None:
    schedule = learning_rate_schedule(config)
    steps = np.linspace(0, config.steps, 201)
    axes.plot(steps, [float(schedule(step)) for step in steps], color="#666666")
    axes.plot(
        [row["step"] for row in rows],
        [row["learning_rate"] for row in rows],
        "o",
        markersize=4,
        color="#666666",
        clip_on=False,
    )
    axes.set_xlim(0, 1.005 * config.steps)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.set_title("learning rate", fontweight="bold")
    axes.set_xlabel("step")


def _plain(value: float, position: int) -> str:
    return f"{value:g}"


def _sparse(value: float, position: int) -> str:
    """Labels 2 and 5 between the powers of ten."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""
