"""The picture of what training costs as it grows."""

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_MEASURED, _PROPORTIONAL = "#0072b2", "#6b6b6b"
# Sweep: (what it is called, its label, what proportional time would grow with).
_COLUMNS = {
    "width": ("width, channels of the first convolution", 2),
    "batch_size": ("images in a batch", 1),
    "images": ("training images", 1),
}


def draw(report: dict) -> Figure:
    """Time and peak memory over width, batch size and images."""
    figure = Figure(figsize=(10.5, 6.4), dpi=120)
    grid = figure.subplots(2, len(_COLUMNS), sharex="col", sharey="row")
    for column, (name, (label, power)) in enumerate(_COLUMNS.items()):
        rows, (upper, lower) = report[name], grid[:, column]
        sizes = [row[name] for row in rows]
        if name == "images":
            seconds = [row["seconds_of_an_epoch"] for row in rows]
            upper.set_title("time of an epoch", fontsize=12)
        else:
            seconds = [row["milliseconds_of_a_step"] / 1000 for row in rows]
            upper.set_title("time of a step", fontsize=12)
        memory = [row["megabytes"]["training"] for row in rows]
        last = sizes[-1], seconds[-1]
        upper.plot(
            sizes,
            [last[1] * (size / last[0]) ** power for size in sizes],
            color=_PROPORTIONAL,
            linestyle="--",
            linewidth=1.5,
        )
        _line(upper, sizes, seconds, _time)
        upper.set_yscale("log")
        _line(lower, sizes, memory, lambda x: f"{x:,.0f}")
        lower.set_title("peak memory", fontsize=12)
        lower.set_xlabel(label)
        lower.set_xticks(sizes, [f"{size:,}" for size in sizes])
        lower.minorticks_off()
    most = max(max(line.get_ydata()) for x in grid[1] for line in x.lines)
    grid[1, 0].set_ylim(0, 1.15 * most)
    grid[0, 0].yaxis.set_major_formatter("{x:,g}")
    grid[1, 0].yaxis.set_major_formatter("{x:,.0f}")
    grid[0, 0].set_ylabel("s")
    grid[1, 0].set_ylabel("MB")
    facts = report["environment"]
    figure.suptitle(
        "What training costs as it grows: the default preset in float32, "
        f"{facts['processor']}, {facts['device']}\nblue: measured; dashed: in "
        "proportion to the multiply-adds or images, from the largest",
        fontsize=12,
        x=0.06,
        ha="left",
    )
    figure.tight_layout(rect=(0, 0, 1, 0.98))
    return figure


def _line(axes: Axes, sizes: list, values: list, text: Callable) -> None:
    axes.plot(sizes, values, color=_MEASURED, marker="o", linewidth=2)
    for size, value in zip(sizes, values, strict=True):
        axes.annotate(
            text(value),
            (size, value),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color=_MEASURED,
        )
    axes.set_xscale("log")
    axes.margins(0.14)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
