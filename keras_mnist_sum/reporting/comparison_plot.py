"""A picture of groups of runs: accuracies with intervals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator
from matplotlib.ticker import NullFormatter

from keras_mnist_sum.evaluation.comparison import Group
from keras_mnist_sum.reporting import default_style
from keras_mnist_sum.reporting.layout import FAINT
from keras_mnist_sum.reporting.layout import RIGHT
from keras_mnist_sum.reporting.layout import SMALL
from keras_mnist_sum.reporting.layout import WIDTH
from keras_mnist_sum.reporting.layout import new_figure
from keras_mnist_sum.reporting.layout import set_title
from keras_mnist_sum.reporting.layout import wrap
from keras_mnist_sum.utils.atomic_files import atomic_write

_WIDE = 20  # times as many wrong: a linear axis would show but one of them


@default_style()
def save_comparison(path: Path, groups: Sequence[Group]) -> None:
    """Draws the share of wrong answers of each group: a panel an output, a row
    a group. A bar is the 95 % interval for other images; a small ring is a
    single model.

    Args:
        path: The PNG file to write.
        groups: What `comparison.compare` returned.

    Raises:
        InputError: If the picture cannot be written.
    """
    names = list(dict.fromkeys(name for x in groups for name in x.correct))
    columns = min(len(names), 4)
    bands = -(-len(names) // columns)
    groups_named = [
        f"{wrap(group.name, WIDTH / 4, SMALL)}\nn = {len(group.paths)}"
        for group in groups
    ]
    lines = sum(name.count("\n") + 2 for name in groups_named)
    figure = new_figure(
        "Wrong answers: means with 95 % intervals for other images; a ring is "
        "a single model",
        WIDTH,
        0.5 + bands * (0.9 + 0.14 * lines),
    )
    grid = figure.subplots(bands, columns, sharey=True, squeeze=False)
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(grid.flat, names, strict=False):
        set_title(axes, name)
        for row, group in enumerate(groups):
            if name not in group.correct:
                continue
            low, high = (100 * (1 - end) for end in group.interval(name))
            wrong = 100 * (1 - group.accuracies(name))
            axes.plot([low, high], [row, row], color=RIGHT, linewidth=2)
            axes.plot(wrong.mean(), row, "o", color=RIGHT)
            if len(wrong) > 1:
                axes.plot(
                    wrong,
                    np.full(len(wrong), row + 0.25),
                    "o",
                    markersize=4,
                    markerfacecolor="none",
                    color=FAINT,
                )
        axes.set_xlabel("wrong, %", fontsize=9)
        axes.tick_params(labelsize=8, which="both")
        axes.grid(alpha=0.3, axis="x")
        least, most = axes.dataLim.intervalx
        if least > 0 and most / least > _WIDE:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_xlim(left=0)
            axes.xaxis.set_major_locator(MaxNLocator(4))
    for axes in grid[:, 0]:
        axes.set_yticks(
            range(len(groups)), groups_named, parse_math=False, fontsize=SMALL
        )
        axes.set_ylim(len(groups) - 0.5, -0.5)
    with atomic_write(path) as partial:
        figure.savefig(partial, format="png")
