"""Pictures of many images, each with its labels and predictions."""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_mnist_sum.evaluation.mistakes import Mistake
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.reporting.layout import SMALL
from keras_mnist_sum.reporting.layout import WRONG
from keras_mnist_sum.reporting.layout import Caption
from keras_mnist_sum.reporting.layout import Sheet
from keras_mnist_sum.reporting.layout import add_caption
from keras_mnist_sum.reporting.layout import caption_width
from keras_mnist_sum.reporting.layout import format_int
from keras_mnist_sum.reporting.layout import lines_height
from keras_mnist_sum.reporting.layout import wrap
from keras_mnist_sum.reporting.pair_tables import add_tables
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task

MOST = 40  # images that are legible in one picture
_COLUMNS, _FEWEST_COLUMNS = 8, 4
_SHOWN = 20  # images of an overview


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
    """A model at a glance: predictions for 20 test images, and its arithmetic.

    Args:
        predictions: Those of a test set.
        tables: The tables that it learned, as `models.learned_tables` returns
            them. An output without one shows what is predicted most often.
        title: A line for the top: which model, how good.
    """
    sheet = Sheet(title)
    # Spread over the set, with every number twice.
    last = len(predictions.digits) - 1
    chosen = np.linspace(0, last, _SHOWN).astype(int)
    numbers = np.arange(_SHOWN) * 3 % NUM_DIGITS
    add_answers(
        sheet,
        predictions.images[chosen],
        predictions.digits[chosen],
        numbers,
        {name: x[chosen, numbers] for name, x in predictions.predicted.items()},
        predictions.task,
    )
    add_tables(sheet, predictions, tables)
    return sheet.figure


def add_answers(
    sheet: Sheet,
    images: np.ndarray,
    labels: np.ndarray,
    numbers: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    task: Task,
    most_columns: int = 10,
) -> None:
    """Adds images to a sheet, each with the predictions for it and one number.
    What is wrong of them is bold and orange, and a misread digit is named.

    Args:
        sheet: Where to.
        images: uint8 array of shape `(examples, 28, 28)`.
        labels: Integer array of shape `(examples,)`.
        numbers: Integer array of shape `(examples,)`.
        predicted: By output, integer array of shape `(examples,)`.
        task: What was asked.
        most_columns: As many images are in a row at most.
    """
    captions = []
    for i, (label, number) in enumerate(zip(labels, numbers, strict=True)):
        values = {name: int(predicted[name][i]) for name in task}
        names = [name for name in task if name != "digit" or len(task) == 1]
        lines = describe_pair(task, values, number)
        captions.append(
            [
                (line, values[name] != task[name].pair_values[label, number])
                for name, line in zip(names, lines, strict=True)
            ]
        )
        if values["digit"] != label:
            captions[i].append((f"{label} read as {values['digit']}", True))
    grid = _add_images(sheet, captions, most_columns)
    for axes, image, caption in zip(grid, images, captions, strict=True):
        draw_image(axes, image)
        frame(axes, image, right=not any(wrong for _, wrong in caption))


def mistakes(predictions: Predictions, found: list[Mistake]) -> Figure:
    """The surest mistakes, at least one and at most 40 of them."""
    shown = found[:MOST]
    what = f"{len(found):,} of {len(predictions.digits):,} test images"
    title = f"{what} have a wrong prediction"
    if len(shown) < len(found):
        title += f": the surest {len(shown)}"
    sheet = Sheet(title)
    captions = [
        [(line, False) for line in (describe(predictions, x), *how_sure(x))]
        for x in shown
    ]
    grid = _add_images(sheet, captions, _COLUMNS)
    for axes, mistake in zip(grid, shown, strict=True):
        draw_image(axes, predictions.images[mistake.index])
        frame(axes, predictions.images[mistake.index], right=False)
    return sheet.figure


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
    sheet = Sheet(
        f"{what}\nImage and number go in; {', '.join(targets)} are to come out"
    )
    captions = []
    for i, number in enumerate(numbers[:MOST]):
        words = [f"{name} {format_int(of[i])}" for name, of in targets.items()]
        pairs = (words[k : k + 2] for k in range(0, len(words), 2))
        lines = [f"number {number}", *(", ".join(pair) for pair in pairs)]
        captions.append([(line, False) for line in lines])
    grid = _add_images(sheet, captions, _COLUMNS)
    for axes, image in zip(grid, images, strict=False):
        draw_image(axes, image)
        frame(axes, image, right=True)
    return sheet.figure


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


def _add_images(
    sheet: Sheet, captions: Sequence[Caption], most_columns: int
) -> list[Axes]:
    """Adds axes for images, below their captions: as many in a row as have
    room."""
    room = 0.9 * sheet.room / _FEWEST_COLUMNS  # Bold is wider.
    captions = [
        [
            (part, wrong)
            for text, wrong in caption
            for part in wrap(text, room, SMALL).splitlines()
        ]
        for caption in captions
    ]
    widest = max(caption_width(caption) for caption in captions)
    cell = max(widest + 0.06, sheet.room / most_columns)
    columns = max(int(sheet.room / cell + 1e-6), 1)
    # As full as each other, unless there is but one row.
    if len(captions) > columns:
        columns = -(-len(captions) // -(-len(captions) // columns))
    height = min(sheet.room / columns - 0.1, 0.9)
    above = lines_height(max(map(len, captions)))
    grid = sheet.add_grid(len(captions), columns, height, above=above)
    for axes, caption in zip(grid, captions, strict=True):
        add_caption(axes, caption)
    return grid
