"""Pictures of many images, each with its labels and predictions."""

import itertools
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_mnist_sum.evaluation.mistakes import Mistake
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.reporting.charts import TEXT
from keras_mnist_sum.reporting.charts import WRONG
from keras_mnist_sum.reporting.charts import add_title
from keras_mnist_sum.reporting.charts import font_size
from keras_mnist_sum.reporting.charts import format_int
from keras_mnist_sum.reporting.charts import new_figure
from keras_mnist_sum.reporting.charts import panels
from keras_mnist_sum.reporting.charts import text_width
from keras_mnist_sum.reporting.pair_tables import draw_table
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task

MOST = 40  # images that are legible in one picture
_COLUMNS = 8


def describe_pair(
    task: Task, values: Mapping[str, int], number: int
) -> list[str]:
    """What is predicted for an image with `number`: a line for each output but
    the digit, which is in the lines."""
    digit = values["digit"]
    return [
        f"{output.question(digit, number)} = {format_int(values[name])}"
        for name, output in task.items()
        if name != "digit" or len(task) == 1
    ]


def describe(predictions: Predictions, mistake: Mistake) -> str:
    """The label and the wrong prediction that is shown for a mistake."""
    name, place = mistake.name, (mistake.index, mistake.number)
    label = format_int(predictions.labels[name][place])
    predicted = format_int(predictions.predicted[name][place])
    if name == "digit":
        return f"{label} read as {predicted}"
    digit = predictions.digits[mistake.index]
    question = predictions.task[name].question(digit, mistake.number)
    return f"{question} = {label}, said {predicted}"


def how_sure(mistake: Mistake) -> list[str]:
    """The confidence of a mistake, and how many of its ten pairs are wrong,
    if not all of them for the digit's sake."""
    lines = []
    if mistake.confidence is not None:
        lines.append(f"{100 * mistake.confidence:.1f} % sure")
    if mistake.name != "digit":
        lines.append(f"{mistake.pairs} of 10 pairs wrong")
    return lines


def overview(
    predictions: Predictions, tables: Mapping[str, np.ndarray], title: str
) -> Figure:
    """A model at a glance: predictions for 20 test images, and what it learned.

    Args:
        predictions: Those of a test set.
        tables: The tables that it learned, as `models.learned_tables` returns
            them; the picture is narrower if there are none.
        title: A line for the top: which model, how good.
    """
    pairs = _spread(predictions)
    titles = [
        describe_pair(
            predictions.task,
            {name: x[pair] for name, x in predictions.predicted.items()},
            pair[1],
        )
        for pair in pairs
    ]
    rows = 1 if len(tables) <= 2 else 2
    columns = -(-len(tables) // rows)
    # In inches: a title, four rows of images below their texts, and tables.
    size = 9 if len(titles[0]) < 4 else 7
    text_high = 0.1 + 1.25 * size / 72 * len(titles[0])
    # Bold ones are wider.
    text_wide = 0.1 + 1.15 * text_width(itertools.chain(*titles), size)
    images_wide = max(6.6, 5 * text_wide + 0.3)
    width = images_wide + (3.3 * columns if tables else 0.2)
    figure = Figure(figsize=(width, 1), dpi=110)
    title_high = 0.2 + 0.23 * max(
        add_title(figure, title, x=0.02, ha="left"), 2
    )
    height = title_high + max(4 * (0.9 + text_high), 3.7 * rows)
    figure.set_figheight(height)
    image_high = (height - title_high) / 4 - text_high
    edge = images_wide / width
    grid = figure.add_gridspec(
        4,
        5,
        left=0.15 / width,
        right=edge - 0.15 / width,
        bottom=0.01,
        top=1 - (title_high + text_high) / height,
        hspace=text_high / image_high,
    )
    for i, pair in enumerate(pairs):
        axes = figure.add_subplot(grid[i // 5, i % 5])
        draw_image(axes, predictions.images[pair[0]])
        right = predictions.all_correct[pair]
        axes.set_title(
            "\n".join(titles[i]),
            fontsize=size,
            color=TEXT if right else WRONG,
            fontweight="normal" if right else "bold",
        )
    sides = figure.add_gridspec(
        rows,
        max(columns, 1),
        left=edge + 0.3 / width,
        right=0.985,
        bottom=0.07,
        top=1 - (title_high + 0.3) / height,
        wspace=0.15,
        hspace=0.3,
    )
    for i, (name, table) in enumerate(tables.items()):
        output = predictions.task[name]
        values = output.decode(table)
        axes = figure.add_subplot(sides[i // columns, i % columns])
        draw_table(axes, values, output)
        right = (values == output.pair_values).sum()
        title = f"learned {name}: {right} of 100 cells right"
        axes.set_title(title, fontsize=font_size([title], 3, 10), pad=8)
    return figure


def examples(predictions: Predictions) -> Figure:
    """20 test images, spread over the set: number, labels and predictions."""
    count = len(predictions.task)
    height, width = predictions.images.shape[1:3]
    line = height / 5  # as 8 points need; more than five reach further down
    # Where labels and predictions end, in images of about 0.7 inches.
    values = itertools.chain(*(x.values for x in predictions.task.values()))
    room = text_width(map(format_int, values), 8) / 0.7
    end = max(2.35, 1.3 + room + text_width(predictions.task, 8) / 0.7)
    ends = end * width, (end + max(0.62, room + 0.15)) * width
    figure = new_figure(
        "Test images, each with a number: labels and predictions",
        11 * ends[1] / (2.97 * width),
        5.2 + 0.7 * max(count - 3, 0),
    )
    for axes, (index, number) in zip(
        figure.subplots(4, 5).flat, _spread(predictions), strict=True
    ):
        right = predictions.all_correct[index, number]
        draw_image(axes, predictions.images[index])
        frame(axes, predictions.images[index], right)
        axes.set_xlim(-1, ends[1])
        axes.set_ylim(max(height, line * (count + 2)), -1)
        lines = [("number", str(number), ""), ("", "label", "model")]
        for name in predictions.task:
            label = predictions.labels[name][index, number]
            predicted = predictions.predicted[name][index, number]
            lines.append((name, format_int(label), format_int(predicted)))
        for i, (name, label, model) in enumerate(lines):
            y = (i + 0.2) * line
            wrong = name in predictions.correct and label != model
            style: dict[str, Any] = dict(fontsize=8, va="center", color=TEXT)
            axes.text(1.15 * width, y, name, **style)
            axes.text(ends[0], y, label, ha="right", **style)
            style["color"] = WRONG if wrong else TEXT
            weight = "bold" if wrong else "normal"
            axes.text(ends[1], y, model, ha="right", fontweight=weight, **style)
    return figure


def mistakes(predictions: Predictions, found: list[Mistake]) -> Figure:
    """The surest mistakes, at least one and at most 40 of them."""
    shown = found[:MOST]
    what = f"{len(found):,} of {len(predictions.digits):,} test images"
    title = f"{what} have a wrong prediction"
    if len(shown) < len(found):
        title += f": the surest {len(shown)}"
    texts = [[describe(predictions, x), *how_sure(x)] for x in shown]
    figure, grid = _grid(title, len(shown), 1.7, itertools.chain(*texts))
    for axes, mistake, lines in zip(grid, shown, texts, strict=True):
        draw_image(axes, predictions.images[mistake.index])
        frame(axes, predictions.images[mistake.index], right=False)
        axes.set_title("\n".join(lines), fontsize=8, color=TEXT, pad=3)
    return figure


def batch(
    images: np.ndarray,
    numbers: np.ndarray,
    targets: Mapping[str, np.ndarray],
    what: str,
) -> Figure:
    """The first 40 examples of a training batch.

    Args:
        images: float32 array of shape `(batch, 28, 28, 1)`, 0-1.
        numbers: Integer array of shape `(batch,)`.
        targets: By output, an integer array of shape `(batch,)`, values.
        what: A line for the title: which batch.
    """
    shown = min(MOST, len(images))
    texts = []
    for i in range(shown):
        words = [f"{name} {format_int(of[i])}" for name, of in targets.items()]
        pairs = (words[k : k + 2] for k in range(0, len(words), 2))
        texts.append([", ".join(pair) for pair in pairs])
    figure, grid = _grid(
        f"{what}\nImage and number go in; {', '.join(targets)} are to come out",
        shown,
        1.5 + 0.15 * -(-len(targets) // 2),
        itertools.chain(*texts),
    )
    for i, axes in enumerate(grid):
        draw_image(axes, images[i])
        frame(axes, images[i], right=True)
        axes.set_title(f"number {numbers[i]}", fontsize=8, color=TEXT, pad=3)
        axes.text(
            images.shape[2] / 2 - 0.5,
            images.shape[1] + 1.5,
            "\n".join(texts[i]),
            fontsize=8,
            color=TEXT,
            ha="center",
            va="top",
        )
    return figure


def draw_image(axes: Axes, image: np.ndarray, ink: str = "dark") -> None:
    """Draws an image, of gray or of colours, without axes.

    Args:
        axes: Where to.
        image: Array of shape `(height, width)` or `(height, width, channels)`,
            uint8 in 0-255 or float in 0-1.
        ink: `"dark"` or `"light"`: how large gray values are drawn.
    """
    axes.imshow(
        without_channel(image),
        cmap="gray_r" if ink == "dark" else "gray",
        vmin=0,
        vmax=255 if image.dtype == "uint8" else 1,
    )
    axes.set_axis_off()


def without_channel(image: np.ndarray) -> np.ndarray:
    """A gray image as `(height, width)`; one of colours as it is."""
    return image[..., 0] if image.shape[2:] == (1,) else image


def frame(axes: Axes, image: np.ndarray, right: bool) -> None:
    """Draws a frame around an image, which says whether all was right."""
    axes.add_patch(
        Rectangle(
            (-0.5, -0.5),
            image.shape[1],
            image.shape[0],
            fill=False,
            ec="#cccccc" if right else WRONG,
            lw=0.8 if right else 2,
        )
    )


def _grid(
    title: str, count: int, height: float, texts: Iterable[str]
) -> tuple[Figure, list[Axes]]:
    """A figure with axes for images that are so many inches high with their
    texts, which have 8 points: as many in a row as have room."""
    columns = int(max(1, min(_COLUMNS, 10.9 / (text_width(texts, 8) + 0.05))))
    figure = new_figure(title, 11, 0.7 + height * -(-count // columns))
    # Of full width, however few there are.
    grid = panels(figure, max(count, columns), columns)
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, grid[:count]


def _spread(predictions: Predictions) -> list[tuple[int, int]]:
    """20 images, spread over the set, with every number twice."""
    chosen = np.linspace(0, len(predictions.digits) - 1, 20).astype(int)
    return [(int(index), i * 3 % NUM_DIGITS) for i, index in enumerate(chosen)]
