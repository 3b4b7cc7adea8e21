"""A report's charts: each function draws one, from a model's predictions.

Text has 8 points and more, and colours are told apart without colour vision.
"""

import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.evaluation.statistics import wilson_interval
from keras_mnist_sum.reporting.layout import FAINT
from keras_mnist_sum.reporting.layout import RIGHT
from keras_mnist_sum.reporting.layout import TEXT
from keras_mnist_sum.reporting.layout import WIDTH
from keras_mnist_sum.reporting.layout import WRONG
from keras_mnist_sum.reporting.layout import font_size
from keras_mnist_sum.reporting.layout import format_int
from keras_mnist_sum.reporting.layout import new_figure
from keras_mnist_sum.reporting.layout import no_frame
from keras_mnist_sum.reporting.layout import panels
from keras_mnist_sum.reporting.layout import set_title
from keras_mnist_sum.reporting.layout import text_width

_BLUES = LinearSegmentedColormap.from_list("right", ("#e8f1f8", RIGHT))
_ORANGES = LinearSegmentedColormap.from_list("wrong", ("#fdeee2", WRONG))
_DENSITY = LinearSegmentedColormap.from_list("few", ("#cfe2f3", "#08306b"))
_FEW = 100  # pairs: a share of fewer says little
_MOST_COUNTED = 22  # classes whose counts are written into their cells
_MOST_COLUMNS = 200  # of a chart of values


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
    # As many classes as there are share the width.
    cell = min(0.4, (WIDTH - 1.1) / columns)  # inches
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
    drawn = np.argwhere(counts) if columns <= _MOST_COUNTED else ()
    size = font_size(map(format_int, counts.flat), 0.95 * cell, 8)
    for row, column in drawn:
        dark = share[row, column] > (0.1 if right[row, column] else 0.3)
        axes.text(
            column,
            row,
            format_int(int(counts[row, column])),
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else TEXT,
        )
    size = 9 if columns <= _MOST_COUNTED else 7
    every = math.ceil(size / 60 / cell)  # so that ticks have room
    axes.set_yticks(range(0, rows, every), labels[::every], fontsize=size)
    labels += ["other"] * (columns - rows)
    axes.set_xticks(range(0, columns, every), labels[::every], fontsize=size)
    if text_width(labels, size) > 0.9 * cell * every:
        axes.tick_params("x", labelrotation=90)
    axes.set_xlabel(f"{name} predicted")
    axes.set_ylabel(f"{name} labelled")
    axes.set_title(
        "pairs; blue right, orange wrong, darker: more of the row",
        fontsize=8,
        color=FAINT,
    )
    no_frame(axes)
    return figure


def reliability(predictions: Predictions) -> Figure:
    """Accuracy beside confidence, of each output that is a distribution."""
    errors = predictions.scores.calibration_error
    columns = min(len(errors), 3)
    bands = -(-len(errors) // columns)
    figure = new_figure(
        "Accuracy of predictions by their confidence",
        WIDTH if columns > 1 else WIDTH / 2,
        0.6 + (3.6 if columns > 2 else 4.6) * bands,
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
        low, high = wilson_interval(y, bins.images[used])
        for few, label in (
            (False, "with its 95 % interval for other images"),
            (True, f"of fewer than {_FEW} pairs"),
        ):
            part = (count < _FEW) == few
            top.errorbar(
                x[part],
                y[part],
                np.abs([low - y, high - y])[:, part],
                fmt="o",
                ms=5,
                lw=1,
                color=RIGHT,
                mfc="white" if few else RIGHT,
                label=label,
            )
        set_title(top, name, f"calibration error {100 * error:.2f} %")
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
        bottom.yaxis.set_major_formatter("{x:,.0f}")
        bottom.set_xlabel("confidence", fontsize=9)
        for axes in (top, bottom):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
    for row in range(bands):
        grid[2 * row, 0].set_ylabel("share of right predictions", fontsize=9)
        grid[2 * row + 1, 0].set_ylabel("pairs", fontsize=9)
    figure.legend(
        *grid[0, 0].get_legend_handles_labels(),
        fontsize=8,
        loc="outside lower left",
        ncols=3 if columns > 1 else 1,
        frameon=False,
    )
    return figure


def values(predictions: Predictions) -> Figure:
    """Value predicted against its label, of each output that is a value."""
    names = list(predictions.errors)
    columns = min(len(names), 2)
    figure = new_figure(
        "Predicted value against label; in the orange boxes it rounds right",
        WIDTH if columns > 1 else 6.0,
        0.8 + (3.5 if columns > 1 else 5.3) * -(-len(names) // 2),
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
        lines = [name, f"mean absolute error {error:,.3f}"]
        if outside:
            lines[1] += f"; {outside:,} values outside"
        set_title(axes, *lines)
        ticks = [classes[0]]  # All of a few values; of many, what has room.
        room = 0.055 * (high - low)
        room *= max(text_width(map(format_int, classes), 8) / 0.12, 1)
        for value in classes:
            if value - ticks[-1] >= room:
                ticks.append(value)
        for set_ticks in (axes.set_xticks, axes.set_yticks):
            set_ticks(ticks, [format_int(value) for value in ticks])
        axes.tick_params(labelsize=8)
        axes.set_xlabel("labelled", fontsize=9)
        axes.set_ylabel("predicted", fontsize=9)
        bar = figure.colorbar(drawn, ax=axes, label="pairs", shrink=0.7)
        bar.ax.yaxis.set_major_formatter("{x:,.0f}")
    return figure
