"""A picture of one answer: what the model saw, and what it said."""

import math
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from keras_mnist_sum.inference.answer import Answer
from keras_mnist_sum.reporting import default_style
from keras_mnist_sum.reporting.image_grids import draw_image
from keras_mnist_sum.reporting.layout import DPI
from keras_mnist_sum.reporting.layout import RIGHT
from keras_mnist_sum.reporting.layout import WIDTH
from keras_mnist_sum.reporting.layout import font_size
from keras_mnist_sum.reporting.layout import format_int
from keras_mnist_sum.reporting.layout import in_font
from keras_mnist_sum.reporting.layout import text_width
from keras_mnist_sum.utils.atomic_files import atomic_write

_BEST, _REST = RIGHT, "#b5b5b5"
_SOFTWARE = "keras_mnist_sum"  # in the file


def is_drawing(path: Path) -> bool:
    """Whether `save_answer` wrote the file at `path`."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return image.info.get("Software") == _SOFTWARE
    except Exception:  # A file of any other kind.
        return False


@default_style()
def save_answer(path: Path, answer: Answer) -> None:
    """Draws the image as the model saw it, beside its distributions.

    Args:
        path: The PNG file to write; one that is there is replaced. It bears
            the package's name, for `is_drawing`.
        answer: What a `Predictor` said.

    Raises:
        InputError: If it cannot be written.
    """
    task = answer.task
    figure = Figure(
        figsize=(WIDTH, max(2.9, 0.3 + 1.3 * len(task))),
        dpi=DPI,
        layout="constrained",
    )
    grid = figure.add_gridspec(len(task), 2, width_ratios=[1, 2.4])
    seen = figure.add_subplot(grid[:, 0], anchor="N")
    draw_image(seen, answer.image, ink="light")
    seen.set_title("what the model saw", fontsize=10)
    room = 0.6 * WIDTH  # of a row of bars
    for row, (name, output) in enumerate(task.items()):
        axes = figure.add_subplot(grid[row, 1])
        said = answer.values[name]
        question = output.question(answer.digit, answer.number)
        equals = " " if name == "digit" else " = "
        title = in_font(f"{question}{equals}{format_int(said)}")
        size = font_size([title], room, 10)
        axes.set_title(title, fontsize=size, loc="left", parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        prediction = answer.predictions[name]
        if len(prediction) == 1:
            axes.text(0, 0.5, f"{prediction[0]:,.2f}", va="center", size=20)
            axes.set_axis_off()
            continue
        # By class: values may be far from each other.
        colours = [_BEST if x == said else _REST for x in output.values]
        axes.bar(range(output.num_classes), prediction, color=colours)
        axes.set_ylim(0, 1)
        labels = [format_int(value) for value in output.values]
        wide = text_width(labels, 7) + 0.04
        every = math.ceil(output.num_classes * wide / room)
        places = range(0, output.num_classes, every)
        axes.set_xticks(places, labels[::every])
        axes.tick_params(labelsize=7)
        axes.set_ylabel("" if row else "probability", fontsize=8)
    with atomic_write(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": _SOFTWARE})
