"""A picture of one answer: what the model saw, and what it said."""

from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from keras_mnist_sum.inference.answer import Answer
from keras_mnist_sum.reporting import default_style
from keras_mnist_sum.reporting.charts import font_size
from keras_mnist_sum.reporting.charts import format_int
from keras_mnist_sum.reporting.image_grids import draw_image
from keras_mnist_sum.utils.atomic_files import atomic_write

_BEST, _REST = "#0072b2", "#b5b5b5"
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
    widths = [
        1 + min(max(output.num_classes - 10, 0) / 15, 2)
        for output in task.values()
    ]
    figure = Figure(
        figsize=(2.4 * (1 + sum(widths)), 3.1), dpi=110, layout="constrained"
    )
    seen, *sides = figure.subplots(1, 1 + len(task), width_ratios=[1, *widths])
    draw_image(seen, answer.image, ink="light")
    seen.set_title("what the model saw", fontsize=10)
    for axes, (name, output) in zip(sides, task.items(), strict=True):
        said = answer.values[name]
        question = output.question(answer.digit, answer.number)
        equals = " " if name == "digit" else " = "
        title = f"{question}{equals}{format_int(said)}"
        axes.set_title(title, fontsize=font_size([title], 2, 10))
        axes.spines[["top", "right"]].set_visible(False)
        prediction = answer.predictions[name]
        if len(prediction) == 1:
            axes.text(0.5, 0.5, f"{prediction[0]:.2f}", ha="center", size=20)
            axes.set_axis_off()
            continue
        # By class: values may be far from each other.
        colours = [_BEST if x == said else _REST for x in output.values]
        axes.bar(range(output.num_classes), prediction, color=colours)
        axes.set_ylim(0, 1)
        every = -(-output.num_classes // 50)  # so that ticks have room
        axes.set_xticks(
            range(0, output.num_classes, every),
            map(format_int, output.values[::every]),
        )
        axes.tick_params(labelsize=8)
        if output.num_classes > 12:
            axes.tick_params("x", labelsize=6)
        if output.num_classes > 24:
            axes.tick_params("x", labelrotation=90)
        axes.set_ylabel("probability" if axes is sides[0] else "", fontsize=9)
    with atomic_write(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": _SOFTWARE})
