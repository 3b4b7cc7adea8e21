"""Tables of digits by numbers, 10 x 10 cells: values and shares."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.reporting.charts import WRONG
from keras_mnist_sum.reporting.charts import font_size
from keras_mnist_sum.reporting.charts import format_int
from keras_mnist_sum.reporting.charts import new_figure
from keras_mnist_sum.reporting.charts import no_frame
from keras_mnist_sum.reporting.charts import panels
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Output


def arithmetic(
    predictions: Predictions, tables: Mapping[str, np.ndarray]
) -> Figure:
    """The table of each output but the digit: what was learned, or, without a
    learned table, what is predicted most often in each cell."""
    names = [name for name in predictions.task if name != "digit"]
    columns = min(len(names), 2)
    figure = new_figure(
        "Arithmetic: the value that the model takes for each cell",
        5.5 * columns + (0.8 if columns == 1 else 0),
        0.8 + 5.3 * -(-len(names) // 2),
    )
    for axes, name in zip(panels(figure, len(names), 2), names, strict=True):
        output = predictions.task[name]
        if name in tables:
            what, values = "learned", output.decode(tables[name])
        else:
            what = "predicted most often"
            values = predictions.most_common(name)
        draw_table(axes, values, output)
        title = (
            f"{name}, {what}: {(values == output.pair_values).sum()} of "
            f"{np.isfinite(values).sum()} cells right"
        )
        axes.set_title(title, fontsize=font_size([title], 4.9, 11))
    return figure


def draw_table(
    axes: Axes,
    values: np.ndarray,
    output: Output,
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
    drawn = np.argwhere(~np.isnan(values))
    texts = {(d, n): format_int(int(values[d, n])) for d, n in drawn}
    box = axes.get_window_extent()
    room = 0.09 * min(box.width, box.height) / axes.figure.dpi
    size = font_size(texts.values(), room, 9)
    cells = _draw_cells(axes, shades, (low, high), texts, size)
    for digit, number in texts:
        if values[digit, number] != output.pair_values[digit, number]:
            corner = (number - 0.46, digit - 0.46)
            axes.add_patch(
                Rectangle(corner, 0.92, 0.92, fill=False, ec=WRONG, lw=2.5)
            )
    return cells


def accuracy(predictions: Predictions) -> Figure:
    """Share of right predictions by digit and number, 10x10 each."""
    correct = predictions.correct_and_all
    shares = {
        name: 100 * predictions.share_correct(x) for name, x in correct.items()
    }
    # Good models differ in the last percent, bad ones in all.
    low = min(np.nanmin(share) for share in shares.values())
    low = next(x for x in (99, 95, 90, 50, 0) if low >= x or x == 0)
    columns = 2 if len(shares) <= 4 else 3
    figure = new_figure(
        "Right predictions by digit and number, in percent",
        5 * columns,
        0.6 + 4.4 * -(-len(shares) // columns),
    )
    grid = panels(figure, len(shares), columns)
    for axes, (name, share) in zip(grid, shares.items(), strict=True):
        texts = {
            (d, n): f"{share[d, n]:.1f}" if share[d, n] < 100 else "100"
            for d, n in np.argwhere(~np.isnan(share))
        }
        drawn = _draw_cells(axes, share, (low, 100), texts, 9)
        axes.set_title(name, fontsize=11)
    figure.colorbar(
        drawn, ax=grid, label="% right", shrink=0.4, aspect=30, pad=0.02
    )
    return figure


def _draw_cells(
    axes: Axes,
    shades: np.ndarray,
    ends: tuple[float, float],
    texts: Mapping[tuple[int, int], str],
    size: float,
) -> AxesImage:
    """Draws cells by digit and number, coloured by `shades` from the one end to
    the other, with texts of `size` points."""
    low, high = ends
    cells = axes.imshow(shades, cmap="cividis", vmin=low, vmax=high)
    axes.set_xticks(range(NUM_DIGITS))
    axes.set_yticks(range(NUM_DIGITS))
    axes.set_xlabel("number")
    axes.set_ylabel("digit")
    no_frame(axes)
    for (digit, number), text in texts.items():
        dark = shades[digit, number] < (low + high) / 2
        axes.text(
            number,
            digit,
            text,
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else "black",
        )
    return cells
