"""A picture of one answer: what the model saw, and what it said."""

from pathlib import Path

from matplotlib.figure import Figure

from keras_mnist_sum import task
from keras_mnist_sum.inference.predictor import Answer
from keras_mnist_sum.reporting.charts import signed
from keras_mnist_sum.utils.atomic_files import written_aside

_BEST, _REST = "#0072b2", "#b5b5b5"


def save_answer(path: Path, answer: Answer, difference: str) -> None:
    """Draws the image as the model saw it, beside its three distributions.

    Args:
        path: The PNG file to write; one that is there is replaced.
        answer: What a `Predictor` said.
        difference: Which difference the model computes.

    Raises:
        InputError: If it cannot be written.
    """
    figure = Figure(figsize=(11, 3.1), dpi=110, layout="constrained")
    sides = figure.subplots(1, 4, width_ratios=(1, 1, 1.6, 1.3))
    sides[0].imshow(answer.image, cmap="gray")
    sides[0].set_title("what the model saw", fontsize=10)
    sides[0].set_axis_off()
    titles = {"digit": f"digit {answer.digit}"}
    written = task.written(answer.digit, answer.number, difference)
    for name, question in written.items():
        titles[name] = f"{question} = {signed(getattr(answer, name))}"
    for axes, (name, output) in zip(
        sides[1:], task.outputs(difference).items()
    ):
        axes.set_title(titles[name], fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        prediction = answer.predictions[name]
        if len(prediction) == 1:
            axes.text(0.5, 0.5, f"{prediction[0]:.2f}", ha="center", size=20)
            axes.set_axis_off()
            continue
        best = getattr(answer, name)
        colours = [_BEST if x == best else _REST for x in output.values]
        axes.bar(output.values, prediction, color=colours)
        axes.set_ylim(0, 1)
        axes.set_xticks(output.values, map(signed, output.values))
        axes.tick_params(labelsize=8)
        axes.tick_params("x", labelsize=8 if len(prediction) < 12 else 6)
        axes.set_ylabel("probability" if name == "digit" else "", fontsize=9)
    with written_aside(path) as aside:
        figure.savefig(aside)
