"""How a sum and its carries follow from images, read by the pretrained model.

Of the test set's sums of two four-digit numbers, the one with the least certain
carry is drawn.
"""

import numpy as np
from matplotlib.figure import Figure

from keras_mnist_sum import load_mnist
from keras_mnist_sum import load_pretrained
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.models.addition import log_probability
from keras_mnist_sum.models.addition import most_probable_sum


def carries(shares: np.ndarray) -> np.ndarray:
    """The probability of a carry into each column, and out of the first.

    Args:
        shares: P(digit | image), `(2, digits, 10)`.

    Returns:
        An array of shape `(digits + 1,)`, from left to right.
    """
    found = [0.0]
    for one, other in zip(*shares[:, ::-1], strict=True):
        total = np.convolve(one, other)  # (19,)
        without, carried = total[10:].sum(), total[9:].sum()
        found.append((1 - found[-1]) * without + found[-1] * carried)
    return np.array(found[::-1])


def draw() -> Figure:
    images = load_mnist("tfds", test_only=True).test_images
    pairs = model_inputs(images, np.zeros(len(images), int))
    answers = load_pretrained().predict(pairs, verbose=0)
    shares = answers["digit"].reshape(-1, 2, 4, 10)
    unsure = [np.abs(carries(x)[:-1] - 0.5).min() for x in shares]
    chosen = int(np.argmin(unsure))
    images, shares = images.reshape(-1, 2, 4, 28, 28)[chosen], shares[chosen]
    log_digits = np.log(np.maximum(shares, 1e-30))[None].astype("float32")
    total = np.array(most_probable_sum(log_digits))
    share = float(np.exp(log_probability(total, log_digits))[0])
    figure = Figure(figsize=(7.6, 4.2), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()

    def say(x: float, y: float, text: str, **style: object) -> None:
        axes.text(x, y, text, ha="center", va="center", **style)

    arrow = {"arrowstyle": "->", "color": "C0"}
    for column, carry in enumerate(carries(shares)):
        say(column, 2.85, f"{carry:.2f}", color="C0", fontsize=13)
        say(column, -0.25, str(total[0, column]), fontsize=26)
        if column:
            ends = (column - 0.75, 2.85), (column - 0.25, 2.85)
            axes.annotate("", *ends, arrowprops=arrow)
    for row, column in np.ndindex(2, 4):
        bottom, digit = 1.85 - row, shares[row, column]
        axes.imshow(
            255 - images[row, column],
            cmap="gray",
            vmin=0,
            vmax=255,
            extent=(column + 0.7, column + 1.3, bottom, bottom + 0.6),
            aspect="auto",
        )
        likely = [x for x in digit.argsort()[:-3:-1] if digit[x] > 0.05]
        read = ", ".join(f"{x}: {digit[x]:.2f}" for x in likely)
        say(column + 1, bottom - 0.1, read, fontsize=10)
    axes.plot([-0.4, 4.4], [0.3, 0.3], color="k")
    say(0, 1.15, "+", fontsize=26)
    for y, text in {
        2.85: "P(carry)",
        2.15: "first number",
        1.15: "second number",
        -0.25: "sum",
    }.items():
        say(-0.9, y, text, fontsize=11)
    axes.text(-0.4, -0.75, f"P(sum) = {share:.2f}", fontsize=12, va="center")
    axes.set(xlim=(-1.6, 4.8), ylim=(-1.0, 3.1))
    return figure
