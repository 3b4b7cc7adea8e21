"""A report's charts: each function draws one, from a model's answers.

Text has 8 points and more, and colours are told apart without colour vision.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from keras_mnist_sum import task
from keras_mnist_sum.evaluation.scores import Answers

TEXT, FAINT = "#1a1a1a", "#666666"
RIGHT, WRONG = "#0072b2", "#d55e00"
_BLUES = LinearSegmentedColormap.from_list("right", ("#e8f1f8", RIGHT))
_ORANGES = LinearSegmentedColormap.from_list("wrong", ("#fdeee2", WRONG))
_DENSITY = LinearSegmentedColormap.from_list("few", ("#cfe2f3", "#08306b"))
_FEW = 100  # pairs: a share of fewer says little


def new_figure(title: str, width: float, height: float) -> Figure:
    """An empty figure of so many inches, with a title."""
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    figure = Figure(figsize=(width, height), layout=layout)
    # A path in it may have dollar signs.
    figure.suptitle(title, fontsize=13, color=TEXT, parse_math=False)
    return figure


def signed(value: int) -> str:
    """An integer as it is printed in a picture."""
    return f"{value:,}".replace("-", "−")


def confusion(answers: Answers, name: str) -> Figure:
    """How often each answer was given for each true one."""
    counts, values = answers.confusion(name), answers.outputs[name].values
    labels = [signed(value) for value in values]
    if not counts[:, -1].any():
        counts = counts[:, :-1]
    right = np.eye(*counts.shape) > 0
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = int(counts[~right].sum())
    rows, columns = counts.shape
    figure = new_figure(
        f"{name}: {wrong:,} of {counts.sum():,} pairs wrong",
        *(0.4 * columns + 1.1, 0.4 * rows + 1.2),
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
        dark = share[row, column] > (0.1 if right[row, column] else 0.3)
        axes.text(
            *(column, row, str(counts[row, column])),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else TEXT,
        )
    others = ["other"] * (columns - rows)
    axes.set_xticks(range(columns), labels + others, fontsize=9)
    axes.set_yticks(range(rows), labels, fontsize=9)
    axes.set_xlabel(f"{name} answered")
    axes.set_ylabel(f"true {name}")
    axes.set_title(
        "pairs; blue right, orange wrong, darker: more of the row",
        fontsize=9,
        color=FAINT,
    )
    _no_frame(axes)
    return figure


def arithmetic(answers: Answers, tables: Mapping[str, np.ndarray]) -> Figure:
    """The tables of sum and difference: what was learned, or, without a
    learned table, the answer given most often in each cell."""
    figure = new_figure(
        "Arithmetic: the value that the model takes for each cell", 11, 5.9
    )
    for axes, name in zip(figure.subplots(1, 2), ("sum", "difference")):
        output = answers.outputs[name]
        if name in tables:
            what, values = "learned", output.answers(tables[name])
        else:
            what, values = "answered most often", answers.most_common(name)
        draw_table(axes, values, output)
        axes.set_title(
            f"{name}, {what}: {(values == output.truth).sum()} of "
            f"{np.isfinite(values).sum()} cells right",
            fontsize=11,
        )
    return figure


def draw_table(
    axes: Axes,
    values: np.ndarray,
    output: task.Output,
    shares: np.ndarray | None = None,
) -> AxesImage:
    """Draws a value for each (digit, number) cell, wrong ones outlined.

    Args:
        axes: Where to.
        values: Array of shape `(10, 10)`; NaN leaves a cell empty.
        output: Of which output they are.
        shares: What colours the cells instead of the values, 0-1, of the same
            shape.

    Returns:
        The cells, for a colour bar.
    """
    low, high = min(output.values), max(output.values)
    shades = values
    if shares is not None:
        low, high, shades = 0, 1, shares
    cells = axes.imshow(shades, cmap="cividis", vmin=low, vmax=high)
    _digit_by_number(axes)
    for digit, number in np.argwhere(~np.isnan(values)):
        value = values[digit, number]
        axes.text(
            *(number, digit, signed(int(value))),
            ha="center",
            va="center",
            fontsize=9,
            color="white"
            if shades[digit, number] < (low + high) / 2
            else "black",
        )
        if value != output.truth[digit, number]:
            corner = (number - 0.46, digit - 0.46)
            axes.add_patch(
                Rectangle(corner, 0.92, 0.92, fill=False, ec=WRONG, lw=2.5)
            )
    return cells


def accuracy(answers: Answers) -> Figure:
    """Share of right answers by digit and number, 10x10 each."""
    shares = {
        name: 100 * answers.share_right(right)
        for name, right in {
            **answers.right,
            "all three": answers.all_right,
        }.items()
    }
    # Good models differ in the last percent, bad ones in all.
    low = min(np.nanmin(share) for share in shares.values())
    low = next(x for x in (99, 95, 90, 50, 0) if low >= x or x == 0)
    figure = new_figure(
        "Right answers by digit and number, in percent", 10, 9.4
    )
    grid = figure.subplots(2, 2)
    for axes, (name, share) in zip(grid.flat, shares.items()):
        drawn = axes.imshow(share, cmap="cividis", vmin=low, vmax=100)
        _digit_by_number(axes)
        axes.set_title(name, fontsize=11)
        for digit, number in np.argwhere(~np.isnan(share)):
            value = share[digit, number]
            axes.text(
                *(number, digit, f"{value:.1f}" if value < 100 else "100"),
                ha="center",
                va="center",
                fontsize=9,
                color="white" if value < (low + 100) / 2 else "black",
            )
    figure.colorbar(
        drawn, ax=grid, label="% right", shrink=0.4, aspect=30, pad=0.02
    )
    return figure


def reliability(answers: Answers) -> Figure:
    """Accuracy beside confidence, of each output that is a distribution."""
    errors = answers.evaluation.calibration_error
    figure = new_figure(
        "Accuracy of answers by their confidence",
        *(11 if len(errors) > 1 else 4.6, 5.4),
    )
    grid = figure.subplots(
        2, len(errors), sharex=True, height_ratios=(3, 1), squeeze=False
    )
    for (top, bottom), (name, error) in zip(grid.T, errors.items()):
        bins = answers.bins(name)
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
                *(x[part], y[part], "o"),
                color=RIGHT,
                mfc="white" if few else RIGHT,
                label=label,
            )
        top.set_title(
            f"{name}: calibration error {100 * error:.2f} %", fontsize=11
        )
        top.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        width = 1 / len(bins.count)
        edges = np.arange(len(bins.count)) * width
        bottom.bar(
            *(edges, bins.count, width),
            align="edge",
            color=_BLUES(0.4),
            ec="white",
        )
        bottom.set_yscale("log")
        bottom.set_ylim(0.7, 2 * answers.all_right.size)
        bottom.set_xlabel("confidence: probability of the answer")
        for axes in (top, bottom):
            axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_ylabel("share of right answers")
    grid[1, 0].set_ylabel("pairs")
    grid[0, 0].legend(fontsize=8, loc="upper left", frameon=False)
    return figure


def values(answers: Answers) -> Figure:
    """Value predicted against true one, of each output that is a value."""
    figure = new_figure(
        "Predicted against true value; in the orange boxes it rounds right",
        *(11, 5.9),
    )
    for axes, name in zip(figure.subplots(1, 2), answers.errors):
        true = answers.true[name]
        predicted = true + answers.errors[name]
        classes = answers.outputs[name].values
        low, high = classes[0] - 2, classes[-1] + 2
        inside = (predicted >= low) & (predicted <= high)
        edges = np.arange(classes[0], classes[-1] + 2) - 0.5
        counts, *_, drawn = axes.hist2d(
            true[inside],
            predicted[inside],
            bins=(edges, np.arange(low, high + 0.1, 0.1)),
            cmap=_DENSITY,
            norm=LogNorm(1, 10),
        )
        drawn.set_clim(1, max(counts.max(), 10))
        for end in (edges[:-1], edges[1:]):  # of what rounds to each value
            axes.stairs(end, edges, baseline=None, color=WRONG, lw=1.2)
        axes.set(xlim=edges[[0, -1]], ylim=(low, high))
        error = answers.evaluation.mean_absolute_error[name]
        outside = int((~inside).sum())
        axes.set_title(
            f"{name}: mean absolute error {error:.3f}"
            + (f"; {outside:,} values outside" if outside else ""),
            fontsize=11,
        )
        labels = [signed(value) for value in classes]
        axes.set_xticks(classes, labels)
        axes.set_yticks(classes, labels)
        axes.tick_params(labelsize=8)
        axes.set_xlabel(f"true {name}")
        axes.set_ylabel(f"{name} predicted")
        figure.colorbar(drawn, ax=axes, label="pairs", shrink=0.7)
    return figure


def _digit_by_number(axes: Axes) -> None:
    axes.set_xticks(range(task.NUM_DIGITS))
    axes.set_yticks(range(task.NUM_DIGITS))
    axes.set_xlabel("number")
    axes.set_ylabel("digit")
    _no_frame(axes)


def _no_frame(axes: Axes) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
