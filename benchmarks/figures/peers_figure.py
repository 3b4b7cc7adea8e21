"""The picture of what `peers` measured."""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.report import peers as report_of

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
_MARKERS = dict(zip(_COLORS, "os^vDXP", strict=True))


_HIGHEST = 20.0  # percent: what is never below is named instead


def draw(report: dict) -> Figure:
    """Error against seconds of training, of digits and of sums."""
    figure = Figure(figsize=(9, 4.6), dpi=150, layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    labels: dict[str, Line2D] = {}
    for axes, output in zip(panels, ("digit", "sum"), strict=True):
        above = []
        for name, entry in report_of.competitors(report):
            if output not in entry["outputs"]:
                continue
            best = 100 - report_of.best_accuracy(entry, output)
            if best > _HIGHEST:
                above.append(f"not shown: {name}, {best:.0f} % at best")
                continue
            for i, run in enumerate(report_of.done(entry)):
                # The error of a perfect score would lie at infinity.
                errors = [max(100 - x[output], 0.01) for x in run["points"]]
                [line] = axes.plot(
                    [x["seconds"] for x in run["points"]],
                    errors,
                    color=_COLORS[name],
                    linewidth=2.2 if entry["ours"] else 1.4,
                    alpha=1.0 if i == 0 else 0.3,
                    marker=_MARKERS[name] if i == 0 else "",
                    markersize=4,
                )
                if i == 0:
                    labels.setdefault(name, line)
        axes.set(xscale="log", yscale="log")
        note = "\n".join(["seconds of training", *above])
        axes.set_xlabel(note, linespacing=1.4)
        axes.set_title(f"{output}: wrong answers on the test set", loc="left")
        axes.minorticks_off()
        for mark in report_of.MARKS:
            axes.axhline(100 - mark, color="0.8", linewidth=0.8, zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylim(0.3, 1.3 * _HIGHEST)
    ticks = [0.4, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
    panels[0].set_yticks(ticks, [f"{tick:g} %" for tick in ticks])
    panels[0].xaxis.set_major_formatter("{x:,g}")
    figure.legend(
        labels.values(),
        labels,
        loc="outside lower center",
        ncols=3,
        fontsize=9,
        frameon=False,
    )
    return figure
