"""Tables of digits by numbers, 10 x 10 cells: values and shares."""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.reporting.layout import LARGE
from keras_mnist_sum.reporting.layout import WRONG
from keras_mnist_sum.reporting.layout import Sheet
from keras_mnist_sum.reporting.layout import font_size
from keras_mnist_sum.reporting.layout import format_int
from keras_mnist_sum.reporting.layout import no_frame
from keras_mnist_sum.reporting.layout import set_title
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Output


def add_tables(
    sheet: Sheet, predictions: Predictions, tables: Mapping[str, np.ndarray]
) -> None:
    """Adds the table of each output but the digit to a sheet: what was learned,
    or, without a learned table, what is predicted most often in each cell."""
    names = [name for name in predictions.task if name != "digit"]
    columns = 3 if len(names) == 3 or len(names) > 4 else min(len(names), 2)
    grid = _add_panels(sheet, len(names), max(columns, 1))
    for axes, name in zip(grid, names, strict=True):
        output = predictions.task[name]
        if name in tables:
            what, values = "learned", output.decode(tables[name])
        else:
            what = "predicted most often"
            values = predictions.most_common(name)
        draw_table(axes, values, output)
        right = (values == output.pair_values).sum()
        of = f"{right} of {np.isfinite(values).sum()}"
        set_title(axes, name, f"{what}: {of} cells right")


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
    inch = axes.figure.dpi * NUM_DIGITS  # over all cells
    size = min(9, 0.6 * 72 * box.height / inch)
    size = font_size(texts.values(), 0.9 * box.width / inch, size)
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
    sheet = Sheet(
        "Right predictions by digit and number, in percent; colours begin at "
        f"{low} %"
    )
    grid = _add_panels(sheet, len(shares), 2)
    for axes, (name, share) in zip(grid, shares.items(), strict=True):
        texts = {
            (d, n): f"{share[d, n]:.1f}" if share[d, n] < 100 else "100"
            for d, n in np.argwhere(~np.isnan(share))
        }
        _draw_cells(axes, share, (low, 100), texts, 8)
        set_title(axes, name)
    return sheet.figure


def most_common(
    models: Mapping[str, Predictions], outputs: Sequence[str]
) -> Figure:
    """What models answer most often, a row a model, a column an output.

    Args:
        models: Predictions of each model, by its title.
        outputs: Which outputs of theirs to draw.
    """
    sheet = Sheet(
        "The most common answer to each digit and number; the brighter the "
        "cell, the more of all answers to it are right"
    )
    grid = iter(
        sheet.add_grid(
            len(models) * len(outputs),
            len(outputs),
            2.6,
            above=0.5,
            below=0.6,
            left=0.6,
        )
    )
    for title, predictions in models.items():
        for name in outputs:
            axes, values = next(grid), predictions.most_common(name)
            share = predictions.share_correct(predictions.correct[name])
            texts = {
                (d, n): format_int(int(values[d, n]))
                for d, n in np.argwhere(~np.isnan(values))
            }
            cells = _draw_cells(axes, 100 * share, (0, 100), texts, LARGE)
            right = (values == predictions.task[name].pair_values).sum()
            of = f"{right} of {len(texts)} answers right"
            set_title(axes, f"{title}: {name}", of, size=LARGE)
            axes.tick_params(labelsize=LARGE)
            for axis in (axes.xaxis, axes.yaxis):
                axis.label.set_fontsize(LARGE)
    [bar] = sheet.add_grid(1, 1, 0.2, below=0.5, left=0.6)
    sheet.figure.colorbar(cells, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=LARGE)
    bar.set_xlabel("right answers, %", fontsize=LARGE)
    return sheet.figure


def _add_panels(sheet: Sheet, count: int, columns: int) -> list[Axes]:
    height = 3.2 if columns <= 2 else 2.3
    return sheet.add_grid(
        count, columns, height, above=0.45, below=0.5, left=0.45
    )


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
    cells = axes.imshow(
        shades, cmap="cividis", vmin=low, vmax=high, aspect="auto"
    )
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
