"""Pictures of many images, each with what is true and what is said of it."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_mnist_sum import task
from keras_mnist_sum.evaluation.mistakes import Mistake
from keras_mnist_sum.evaluation.scores import Answers
from keras_mnist_sum.reporting.charts import TEXT
from keras_mnist_sum.reporting.charts import WRONG
from keras_mnist_sum.reporting.charts import draw_table
from keras_mnist_sum.reporting.charts import new_figure
from keras_mnist_sum.reporting.charts import signed

MOST = 40  # images that are legible in one picture
_COLUMNS = 8


def in_words(answers: Answers, mistake: Mistake) -> str:
    """The right answer and the wrong one that is shown for a mistake."""
    name, number = mistake.name, mistake.number
    place = mistake.index, number
    digit = answers.labels[mistake.index]
    true, given = (
        signed(of[name][place]) for of in (answers.true, answers.given)
    )
    if name == "digit":
        return f"{true} read as {given}"
    written = task.written(digit, number, answers.difference)[name]
    return f"{written} = {true}, said {given}"


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
    answers: Answers, tables: Mapping[str, np.ndarray], title: str
) -> Figure:
    """A model at a glance: its answers to 20 test images, and what it learned.

    Args:
        answers: What it answered to the test set.
        tables: The tables that it learned, as `models.learned_tables` returns
            them; the picture is narrower if there are none.
        title: A line for the top: which model, how good.
    """
    figure = Figure(figsize=(13, 6.2) if tables else (6.8, 6.2), dpi=110)
    # A path in it may have dollar signs.
    figure.suptitle(
        title, fontsize=13, color=TEXT, x=0.02, ha="left", parse_math=False
    )
    grid = figure.add_gridspec(
        4, 5, left=0.02, right=0.44 if tables else 0.98, bottom=0.01, top=0.83
    )
    for i, (index, number) in enumerate(_spread(answers)):
        axes = figure.add_subplot(grid[i // 5, i % 5])
        axes.imshow(answers.images[index], cmap="gray_r")
        axes.set_axis_off()
        digit = answers.given["digit"][index, number]
        written = task.written(digit, number, answers.difference)
        right = answers.all_right[index, number]
        axes.set_title(
            "\n".join(
                f"{question} = {signed(answers.given[name][index, number])}"
                for name, question in written.items()
            ),
            fontsize=9,
            color=TEXT if right else WRONG,
            fontweight="normal" if right else "bold",
        )
    sides = figure.add_gridspec(
        1, 2, left=0.5, right=0.985, top=0.9, wspace=0.15
    )
    for column, (name, table) in enumerate(tables.items()):
        output = answers.outputs[name]
        values = output.answers(table)
        axes = figure.add_subplot(sides[column])
        draw_table(axes, values, output)
        axes.set_title(
            f"learned {name}: {(values == output.truth).sum()} of 100 cells "
            "right",
            fontsize=11,
            pad=8,
        )
    return figure


def examples(answers: Answers) -> Figure:
    """20 test images, spread over the set: number, truth and answers."""
    figure = new_figure(
        "Test images, each with a number: the truth and the model's answers",
        *(11, 5.2),
    )
    for axes, pair in zip(figure.subplots(4, 5).flat, _spread(answers)):
        index, number = pair
        right = answers.all_right[index, number]
        _draw_image(axes, answers.images[index], right)
        axes.set_xlim(-1, 83)
        lines = [("number", str(number), "")]
        lines += [("", "truth", "model")]
        lines += [
            (
                name,
                signed(answers.true[name][index, number]),
                signed(answers.given[name][index, number]),
            )
            for name in answers.outputs
        ]
        for y, (name, truth, model) in zip((1, 9, 15, 21, 27), lines):
            wrong = name in answers.right and truth != model
            weight = "bold" if wrong else "normal"
            style = {"fontsize": 8, "va": "center", "color": TEXT}
            axes.text(32, y, name, **style)
            axes.text(65, y, truth, ha="right", **style)
            style["color"] = WRONG if wrong else TEXT
            axes.text(83, y, model, ha="right", fontweight=weight, **style)
    return figure


def mistakes(answers: Answers, found: list[Mistake]) -> Figure:
    """The surest mistakes, at least one and at most 40 of them."""
    shown = found[:MOST]
    what = f"{len(found):,} of {len(answers.labels):,} test images"
    title = f"{what} have a wrong answer"
    if len(shown) < len(found):
        title += f": the surest {len(shown)}"
    figure = new_figure(title, 11, 0.5 + 1.7 * -(-len(shown) // _COLUMNS))
    for axes, mistake in zip(_grid(figure, len(shown)), shown):
        _draw_image(axes, answers.images[mistake.index], False)
        axes.set_title(
            "\n".join([in_words(answers, mistake), *how_sure(mistake)]),
            fontsize=8,
            color=TEXT,
            pad=3,
        )
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
    figure = new_figure(
        f"{what}\nImage and number go in; digit, sum and difference are to "
        "come out",
        *(11, 0.8 + 1.8 * -(-shown // _COLUMNS)),
    )
    for i, axes in enumerate(_grid(figure, shown)):
        _draw_image(axes, images[i, ..., 0], right=True)
        axes.set_title(f"number {numbers[i]}", fontsize=8, color=TEXT, pad=3)
        axes.text(
            *(13.5, 29.5),
            "digit {digit}, sum {sum}\ndifference {difference}".format(
                **{name: signed(of[i]) for name, of in targets.items()}
            ),
            fontsize=8,
            color=TEXT,
            ha="center",
            va="top",
        )
    return figure


def _spread(answers: Answers) -> list[tuple[int, int]]:
    """20 images, spread over the set, with every number twice."""
    chosen = np.linspace(0, len(answers.labels) - 1, 20).astype(int)
    return [
        (int(index), i * 3 % task.NUM_DIGITS) for i, index in enumerate(chosen)
    ]


def _grid(figure: Figure, count: int) -> list[Axes]:
    """As many axes, in rows of eight."""
    rows = -(-count // _COLUMNS)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    return list(grid.flat[:count])


def _draw_image(axes: Axes, image: np.ndarray, right: bool) -> None:
    axes.imshow(
        image, cmap="gray_r", vmin=0, vmax=255 if image.dtype == "uint8" else 1
    )
    axes.set_axis_off()
    size = task.IMAGE_SIZE
    axes.add_patch(
        Rectangle(
            *((-0.5, -0.5), size, size),
            fill=False,
            ec="#cccccc" if right else WRONG,
            lw=0.8 if right else 2,
        )
    )
