"""A picture of groups of runs: accuracies with intervals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from keras_mnist_sum.evaluation.comparison import Group
from keras_mnist_sum.reporting import default_style
from keras_mnist_sum.utils.atomic_files import atomic_write

_INK = "#0072b2"
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
    figure = Figure(
        figsize=(3 + 2.6 * len(names), 1.6 + 0.5 * len(groups)),
        dpi=100,
        layout="constrained",
    )
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        axes.set_title(name, fontweight="bold")
        for row, group in enumerate(groups):
            if name not in group.correct:
                continue
            low, high = (100 * (1 - end) for end in group.interval(name))
            wrong = 100 * (1 - group.accuracies(name))
            axes.plot([low, high], [row, row], color=_INK, linewidth=2)
            axes.plot(wrong.mean(), row, "o", color=_INK)
            if len(wrong) > 1:
                axes.plot(
                    wrong,
                    np.full(len(wrong), row + 0.25),
                    "o",
                    markersize=4,
                    markerfacecolor="none",
                    color="#666666",
                )
        axes.set_xlabel("wrong, %")
        axes.grid(alpha=0.3, axis="x")
        least, most = axes.dataLim.intervalx
        if least > 0 and most / least > _WIDE:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        else:
            axes.set_xlim(left=0)
    panels[0].set_yticks(
        range(len(groups)),
        [f"{group.name}\nn = {len(group.paths)}" for group in groups],
        parse_math=False,
    )
    panels[0].set_ylim(len(groups) - 0.5, -0.5)
    with atomic_write(path) as partial:
        figure.savefig(partial, format="png")
