"""`curves.png`: how a run went, drawn from `history.csv` and `steps.csv`."""

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

_MOST = 40  # points of a line of training, each a mean

# Told apart without colour vision, too: by their markers.
_TRAINING: dict[str, Any] = dict(color=RIGHT, marker="o", markersize=3)
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
    return _read(path, task, {"step", "learning_rate"})


def _read(path: Path, task: Task, needed: set[str]) -> list[dict[str, float]]:
    rows = csv.DictReader(io.StringIO(read_text(path)))
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
    path: Path,
    history: Path,
    task: Task,
    title: str,
    rates: np.ndarray,
    steps: Path | None = None,
) -> None:
    """Draws wrong answers and loss of each output, in training and validation,
    and the learning rate.

    What it shows of training are means over some steps, while the weights
    changed, drawn across these steps; validation has the weights of an epoch's
    end.

    Args:
        path: The PNG file to write.
        history: The run's `history.csv`.
        task: Of the run.
        title: A line for the top.
        rates: Float array of shape `(2, points)`: steps, from 0 to the last
            one of the run, and the scheduled learning rate at each.
        steps: The run's `steps.csv`. Without one, as a run of an earlier
            version is, or without rows in it, training is shown by its means
            over an epoch.

    Raises:
        InputError: If a file cannot be read, or the picture not written.
    """
    rows = read_history(history, task)
    training, over = rows, "an epoch"
    if steps and steps.is_file() and len(read_text(steps).splitlines()) > 1:
        training = _read(steps, task, {"step"})
    _add_begins(training, rows)
    if training is not rows:
        count = training[-1]["step"] - training[0]["begin"]
        training = _means(training, _MOST)
        over = f"about {count / len(training):,.0f} steps"
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
        _draw(upper, training, rows, f"{name}_accuracy", _wrong, "{:.2f} %")
        _draw(lower, training, rows, f"{name}_loss", float, "{:,.3f}")
        lower.set_xlabel("step", fontsize=9)
        if column == 0:
            upper.set_ylabel("wrong, %", fontsize=9)
            lower.set_ylabel("loss", fontsize=9)
        for axes in (upper, lower):
            _finish(axes, 1.02 * rates[0, -1])
    _draw_rate(figure.add_subplot(grid[-1, :]), rows, rates)
    figure.legend(
        handles=[
            Line2D([], [], **_TRAINING, label=f"training: mean over {over}"),
            Line2D([], [], **_VALIDATION, label="validation: after an epoch"),
        ][: 1 + (f"val_{next(iter(task))}_loss" in rows[0])],
        fontsize=8,
        loc="outside lower left",
        ncols=2,
        frameon=False,
    )
    with atomic_write(path) as partial:
        figure.savefig(partial)


def _add_begins(
    training: list[dict[str, float]], epochs: list[dict[str, float]]
) -> None:
    """After which step each mean begins: that of the row before, or the last
    one of an epoch. The first row of a run that went on from a checkpoint
    without rows is of its epoch."""
    ends = np.array([0.0, *(row["step"] for row in epochs)])
    before = 0.0
    for row in training:
        epoch = ends[np.searchsorted(ends, row["step"]) - 1]
        row["begin"] = max(before, float(epoch))
        before = row["step"]


def _means(rows: list[dict[str, float]], most: int) -> list[dict[str, float]]:
    """At most so many rows: means of neighbours, weighted by their steps."""
    weights = np.array([row["step"] - row["begin"] for row in rows])
    found = []
    for part in np.array_split(np.arange(len(rows)), min(most, len(rows))):
        mean = {"step": rows[part[-1]]["step"]}
        mean["begin"] = rows[part[0]]["begin"]
        for name in rows[0]:
            values = [rows[i][name] for i in part]
            value = float(np.average(values, weights=weights[part]))
            # These are differences of float32: off by some millionths.
            is_share = name.endswith("_accuracy")
            mean.setdefault(name, round(value, 4) if is_share else value)
        found.append(mean)
    return found


def _wrong(accuracy: float) -> float:
    return 100 * (1 - accuracy)


def _draw(
    axes: Axes,
    training: list[dict],
    rows: list[dict],
    name: str,
    convert: Callable[[float], float],
    words: str,
) -> None:
    """Draws training, each mean over the steps that it was taken of, and
    validation, and says where they ended."""
    ends = np.array([row["step"] for row in training])
    begins = np.array([row["begin"] for row in training])
    values = [convert(row[name]) for row in training]
    axes.errorbar(
        (begins + ends) / 2, values, xerr=(ends - begins) / 2, **_TRAINING
    )
    last = [(f"● {words.format(values[-1])}", _TRAINING["color"])]
    if f"val_{name}" in rows[0]:
        ends = np.array([row["step"] for row in rows])
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
