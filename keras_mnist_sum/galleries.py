"""Pictures of many images, each with what is true and what is said of it."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_mnist_sum import task
from keras_mnist_sum.charts import TEXT
from keras_mnist_sum.charts import WRONG
from keras_mnist_sum.charts import new_figure
from keras_mnist_sum.charts import signed
from keras_mnist_sum.scoring import Answers
from keras_mnist_sum.scoring import Mistake


def in_words(answers: Answers, mistake: Mistake) -> str:
    """The right answer and the wrong one that is shown for a mistake."""
    name, number = mistake.name, mistake.number
    place = mistake.index, number
    digit = answers.labels[mistake.index]
    true, given = (
        signed(of[name][place]) for of in (answers.true, answers.given)
    )
    bar = "|" if answers.difference == "absolute" else ""
    return {
        "digit": f"{true} read as {given}",
        "sum": f"{digit} + {number} = {true}, said {given}",
        "difference": f"{bar}{digit} − {number}{bar} = {true}, said {given}",
    }[name]


def how_sure(mistake: Mistake) -> str:
    """The confidence of a mistake, and how many of its ten pairs are wrong,
    which is all of them where the digit is."""
    words = []
    if mistake.confidence is not None:
        words.append(f"{100 * mistake.confidence:.1f} % sure")
    if mistake.name != "digit":
        words.append(f"{mistake.pairs} of 10 wrong")
    return ", ".join(words)


def examples(answers: Answers) -> Figure:
    """20 test images, spread over the set: number, truth and answers."""
    figure = new_figure(
        "Test images, each with a number: the truth and the model's answers",
        *(11, 5.6),
    )
    chosen = np.linspace(0, len(answers.labels) - 1, 20).astype(int)
    numbers = np.arange(20) * 3 % task.NUM_DIGITS
    for axes, *pair in zip(figure.subplots(4, 5).flat, chosen, numbers):
        index, number = pair
        right = answers.all_right[index, number]
        _draw_image(axes, answers.images[index], right)
        axes.set_xlim(-1, 75)
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
            axes.text(60, y, truth, ha="right", **style)
            style["color"] = WRONG if wrong else TEXT
            axes.text(75, y, model, ha="right", fontweight=weight, **style)
    return figure


def mistakes(answers: Answers, found: list[Mistake], most: int = 40) -> Figure:
    """The surest mistakes, at most 40 of them."""
    shown = found[:most]
    what = f"{len(found):,} of {len(answers.labels):,} test images"
    title = f"{what} have a wrong answer"
    if len(shown) < len(found):
        title += f": the surest {len(shown)}"
    rows = -(-len(shown) // 8)
    figure = new_figure(title, 11, 0.5 + 1.55 * max(rows, 1))
    grid = figure.subplots(max(rows, 1), 8, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, mistake in zip(grid.flat, shown):
        _draw_image(axes, answers.images[mistake.index], False)
        axes.set_title(
            f"{in_words(answers, mistake)}\n{how_sure(mistake)}",
            fontsize=8,
            color=TEXT,
            pad=3,
        )
    return figure


def _draw_image(axes: Axes, image: np.ndarray, right: bool) -> None:
    axes.imshow(image, cmap="gray_r")
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
