"""The picture of what `benchmarks.peers` measured."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from benchmarks import peers_report
from keras_mnist_sum.utils.atomic_files import atomic_write

# Okabe and Ito: told apart by the colour-blind, too.
_COLORS = {
    "fast": "#D55E00",
    "residual": "#0072B2",
    "baseline_classification": "#CC79A7",
    "baseline_regression": "#E69F00",
    "hard_argmax": "#009E73",
    "train_mnist_fast": "#000000",
    "mnist_convnet": "#56B4E9",
}


def draw(report: dict, path: Path) -> None:
    """Error against seconds of training, of digits and of sums, to a PNG."""
    figure = Figure(figsize=(11, 5.2), dpi=110, layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    labels = []
    for axes, output in zip(panels, ("digit", "sum"), strict=True):
        ends = []
        for name, entry in peers_report.competitors(report):
            if output not in entry["outputs"]:
                continue
            color = _COLORS[name]
            for i, run in enumerate(peers_report.done(entry)):
                seconds = [x["seconds"] for x in run["points"]]
                # The error of a perfect score would lie at infinity.
                errors = [max(100 - x[output], 0.01) for x in run["points"]]
                axes.plot(
                    seconds,
                    errors,
                    color=color,
                    linewidth=2.2 if entry["ours"] else 1.4,
                    alpha=1.0 if i == 0 else 0.3,
                    marker="o",
                    markersize=3 if i == 0 else 0,
                )
                if i == 0:
                    ends.append((seconds[-1], errors[-1], name, color))
        axes.set(xscale="log", yscale="log", xlabel="seconds of training")
        axes.set_title(f"{output}: wrong answers on the test set", loc="left")
        axes.set_ylim(0.25, 100)
        ticks = [0.3, 0.4, 0.5, 1, 2, 5, 10, 20, 50, 100]
        axes.set_yticks(ticks, [f"{tick:g} %" for tick in ticks])
        axes.minorticks_off()
        for mark in peers_report.MARKS:
            axes.axhline(100 - mark, color="0.8", linewidth=0.8, zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
        labels.append((axes, ends))
    low, high = panels[0].get_xlim()
    low, high = low / 2.5, high * 15  # room for the names
    panels[0].set_xlim(low, high)
    ticks = [10.0**i for i in range(-1, 5) if low < 10.0**i < high]
    panels[0].set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    for axes, ends in labels:
        _label(axes, ends)
    with atomic_write(path) as aside:
        figure.savefig(aside)


def _label(axes: Axes, ends: list) -> None:
    """Names at the ends of the lines, none on another."""
    (left, right), (low, high) = (
        np.log10(axes.get_xlim()),
        np.log10(axes.get_ylim()),
    )
    soonest = min(ends, default=None)
    taken: list[tuple[float, float, float]] = []  # left, right, height
    for end in sorted(ends, key=lambda end: end[1]):
        seconds, error, name, color = end
        x = (np.log10(seconds) - left) / (right - left)
        y = (np.log10(error) - low) / (high - low)
        if end == soonest:  # All lines fall: there is room to the left.
            x, y, side = x - 0.01, y - 0.03, "right"
        else:
            x, side = x + 0.015, "left"
            width = 0.014 * len(name)
            for begin, until, height in sorted(taken, key=lambda t: t[2]):
                if begin < x + width and x < until and abs(y - height) < 0.045:
                    y = height + 0.045
            taken.append((x, x + width, y))
        axes.text(
            *(x, y, name),
            transform=axes.transAxes,
            color=color,
            fontsize=9,
            ha=side,
            va="center",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
