"""A report's charts: each function draws one, from a model's predictions.

Text has 8 points and more, and colours are told apart without colour vision.
"""

import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import TextPath

from keras_mnist_sum.evaluation.scores import Predictions

TEXT, FAINT = "#1a1a1a", "#666666"
RIGHT, WRONG = "#0072b2", "#d55e00"
_BLUES = LinearSegmentedColormap.from_list("right", ("#e8f1f8", RIGHT))
_ORANGES = LinearSegmentedColormap.from_list("wrong", ("#fdeee2", WRONG))
_DENSITY = LinearSegmentedColormap.from_list("few", ("#cfe2f3", "#08306b"))
_FEW = 100  # pairs: a share of fewer says little
_MOST_COUNTED = 22  # classes whose counts are written into their cells
_MOST_COLUMNS = 200  # of a chart of values


def new_figure(title: str, width: float, height: float) -> Figure:
    """An empty figure of so many inches, with a title."""
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    figure = Figure(figsize=(width, height), layout=layout)
    add_title(figure, title)
    return figure


def add_title(figure: Figure, title: str, **where: Any) -> int:
    """Gives a figure a title, in lines that fit its width.

    Returns:
        The number of lines.
    """
    width = int(9.5 * figure.get_figwidth())  # characters
    lines = [
        line
        for long in title.splitlines()
        for line in textwrap.wrap(long, width, break_on_hyphens=False)
    ]
    figure.suptitle(
        "\n".join(lines),
        fontsize=13,
        color=TEXT,
        parse_math=False,  # A path may have dollar signs.
        **where,
    )
    return len(lines)


def text_width(texts: Iterable[str], size: float) -> float:
    """How many inches the longest of `texts` takes, in `size` points."""
    longest = max(texts, key=len, default="0")
    width = TextPath((0, 0), longest, size=size).get_extents().x1 / 72
    return 1.08 * width  # Letters are moved to whole pixels.


def font_size(texts: Iterable[str], room: float, size: float) -> float:
    """`size` points, or so many that `texts` fit into `room` inches."""
    return size * min(1, room / text_width(texts, size))


def format_int(value: int) -> str:
    """An integer as it is printed in a picture."""
    return f"{value:,}".replace("-", "−")


def panels(
    figure: Figure, count: int, columns: int, **settings: Any
) -> list[Axes]:
    """As many axes, in rows of at most `columns`."""
    columns = min(columns, count)
    rows = -(-count // columns)
    grid = figure.subplots(rows, columns, squeeze=False, **settings)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    return list(grid.flat[:count])


def confusion(predictions: Predictions, name: str) -> Figure:
    """How often each value was predicted for each label."""
    counts = predictions.confusion(name)
    labels = [format_int(value) for value in predictions.task[name].values]
    if not counts[:, -1].any():
        counts = counts[:, :-1]
    rows, columns = counts.shape
    right = np.eye(rows, columns) > 0
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = int(counts[~right].sum())
    # Many classes get small cells, without the counts.
    cell = 0.4 if columns <= _MOST_COUNTED else 0.22
    figure = new_figure(
        f"{name}: {wrong:,} of {counts.sum():,} pairs wrong",
        max(cell * columns, 4.0) + 1.1,
        max(cell * rows, 2.0) + 1.2,
    )
    axes = figure.add_subplot()
    for cells, colours in ((right, _BLUES), (~right, _ORANGES)):
        axes.imshow(
            np.ma.masked_where(~cells | (counts == 0), share),
            cmap=colours,
            # One pair in 10,000 must be seen.
            norm=LogNorm(1e-4, 1),
        )
    for row, column in np.argwhere(counts):
        if columns > _MOST_COUNTED:
            break
        dark = share[row, column] > (0.1 if right[row, column] else 0.3)
        axes.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else TEXT,
        )
    others = ["other"] * (columns - rows)
    axes.set_xticks(range(columns), labels + others, fontsize=9)
    axes.set_yticks(range(rows), labels, fontsize=9)
    if columns > _MOST_COUNTED:
        axes.tick_params("both", labelsize=8)
    if columns > _MOST_COUNTED or text_width(labels, 9) > 0.9 * cell:
        axes.tick_params("x", labelrotation=90)
    axes.set_xlabel(f"{name} predicted")
    axes.set_ylabel(f"{name} labelled")
    axes.set_title(
        "pairs; blue right, orange wrong, darker: more of the row",
        fontsize=9,
        color=FAINT,
    )
    no_frame(axes)
    return figure


def reliability(predictions: Predictions) -> Figure:
    """Accuracy beside confidence, of each output that is a distribution."""
    errors = predictions.scores.calibration_error
    columns = min(len(errors), 4)
    bands = -(-len(errors) // columns)
    figure = new_figure(
        "Accuracy of predictions by their confidence",
        max(3.7 * columns, 4.6),
        0.5 + 4.9 * bands,
    )
    grid = figure.subplots(
        2 * bands,
        columns,
        sharex=True,
        height_ratios=(3, 1) * bands,
        squeeze=False,
    )
    tops, bottoms = grid[0::2].ravel(), grid[1::2].ravel()
    for axes in (*tops[len(errors) :], *bottoms[len(errors) :]):
        axes.set_axis_off()
    for top, bottom, (name, error) in zip(
        tops, bottoms, errors.items(), strict=False
    ):
        bins = predictions.bins(name)
        used = bins.count > 0
        count = bins.count[used]
        x, y = bins.confidence[used] / count, bins.right[used] / count
        top.plot(
            (0, 1),
            (0, 1),
            "--",
            color=FAINT,
            lw=1,
            label="perfectly calibrated",
        )
        top.plot(x, y, "-", color=RIGHT, lw=1)
        for few, label in ((False, None), (True, f"fewer than {_FEW} pairs")):
            part = (count < _FEW) == few
            top.plot(
                x[part],
                y[part],
                "o",
                color=RIGHT,
                mfc="white" if few else RIGHT,
                label=label,
            )
        title = f"{name}: calibration error {100 * error:.2f} %"
        top.set_title(title, fontsize=font_size([title], 3.1, 11))
        top.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        width = 1 / len(bins.count)
        bottom.bar(
            np.arange(len(bins.count)) * width,
            bins.count,
            width,
            align="edge",
            color=_BLUES(0.4),
            ec="white",
        )
        bottom.set_yscale("log")
        bottom.set_ylim(0.7, 2 * predictions.all_correct.size)
        bottom.set_xlabel("confidence: probability of the prediction")
        for axes in (top, bottom):
            axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_ylabel("share of right predictions")
    grid[1, 0].set_ylabel("pairs")
    grid[0, 0].legend(fontsize=8, loc="upper left", frameon=False)
    return figure


def values(predictions: Predictions) -> Figure:
    """Value predicted against its label, of each output that is a value."""
    names = list(predictions.errors)
    columns = min(len(names), 2)
    figure = new_figure(
        "Predicted value against label; in the orange boxes it rounds right",
        max(5.5 * columns, 7.0),
        0.6 + 5.3 * -(-len(names) // 2),
    )
    for axes, name in zip(panels(figure, len(names), 2), names, strict=True):
        labels = predictions.labels[name]
        predicted = labels + predictions.errors[name]
        classes = predictions.task[name].values
        # A column for each value, or for a few where they are far apart.
        width = max((classes[-1] - classes[0]) // _MOST_COLUMNS, 1)
        low, high = classes[0] - 2 * width, classes[-1] + 2 * width
        inside = (predicted >= low) & (predicted <= high)
        edges = np.arange(classes[0], classes[-1] + width + 1, width) - 0.5
        counts, *_, drawn = axes.hist2d(
            labels[inside],
            predicted[inside],
            bins=(edges, np.arange(low, high + 0.1 * width, 0.1 * width)),
            cmap=_DENSITY,
            norm=LogNorm(1, 10),
        )
        drawn.set_clim(1, max(counts.max(), 10))
        # The ends of what rounds to each value.
        for end in (edges[:-1], edges[1:]) if width == 1 else ():
            axes.stairs(end, edges, baseline=None, color=WRONG, lw=1.2)
        axes.set(xlim=edges[[0, -1]], ylim=(low, high))
        error = predictions.scores.mean_absolute_error[name]
        outside = int((~inside).sum())
        title = f"{name}: mean absolute error {error:.3f}"
        if outside:
            title += f"; {outside:,} values outside"
        axes.set_title(title, fontsize=font_size([title], 4.2, 11))
        ticks = [classes[0]]  # All of a few values; of many, what has room.
        for value in classes:
            if (value - ticks[-1]) * _MOST_COUNTED >= high - low:
                ticks.append(value)
        for set_ticks in (axes.set_xticks, axes.set_yticks):
            set_ticks(ticks, [format_int(value) for value in ticks])
        axes.tick_params(labelsize=8)
        axes.set_xlabel(f"{name} labelled")
        axes.set_ylabel(f"{name} predicted")
        figure.colorbar(drawn, ax=axes, label="pairs", shrink=0.7)
    return figure


def no_frame(axes: Axes) -> None:
    """Takes frame and ticks from a heat map."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
