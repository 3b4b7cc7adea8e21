"""The picture of what `peers` measured."""

from matplotlib.figure import Figure

from benchmarks.report import peers as report_of

# Okabe and Ito: told apart by the colour-blind, too.
_STYLES = {
    "fast": ("#D55E00", "o"),
    "residual": ("#0072B2", "s"),
    "baseline_classification": ("#CC79A7", "^"),
    "hard_argmax": ("#009E73", "D"),
    "train_mnist_fast": ("#000000", "X"),
    "mnist_convnet": ("#56B4E9", "P"),
}
_HIGHEST = 20.0  # percent: what is never below is named instead


def draw(report: dict) -> Figure:
    """Error against seconds of training, of digits and of sums."""
    figure = Figure(figsize=(9, 4.6), dpi=150, layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    lines: dict = {}
    for axes, output in zip(panels, ("digit", "sum"), strict=True):
        note = "seconds of training"
        for name, entry in report_of.competitors(report):
            if output not in entry["outputs"]:
                continue
            best = 100 - report_of.best_accuracy(entry, output)
            if best > _HIGHEST:
                note += f"\nnot shown: {name}, {best:.0f} % at best"
                continue
            color, marker = _STYLES[name]
            for i, run in enumerate(entry["runs"]):
                [line] = axes.loglog(
                    [x["seconds"] for x in run["points"]],
                    # The error of a perfect score would lie at infinity.
                    [max(100 - x[output], 0.01) for x in run["points"]],
                    color=color,
                    linewidth=2.2 if entry["ours"] else 1.4,
                    alpha=0.3 if i else 1.0,
                    marker="" if i else marker,
                    markersize=4,
                )
                lines.setdefault(name, line)
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
    where = {"loc": "outside lower center", "ncols": 3}
    figure.legend(lines.values(), lines, fontsize=9, frameon=False, **where)
    return figure
