"""The picture of an answer shows every output of the task."""

import matplotlib
import numpy as np
import pytest
from PIL import Image

from keras_mnist_sum.inference.answer import Answer
from keras_mnist_sum.reporting import default_style
from keras_mnist_sum.reporting.answer_plot import save_answer
from keras_mnist_sum.task import Task
from tests.reporting.figures import check_texts


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3)])
def test_picture_shows_distributions_and_values(tmp_path, drawn, shape):
    task = Task.named(("product", "digit", "difference"), difference="signed")
    product = np.eye(37)[task["product"].table[3, 7]]
    predictions = {
        "product": 0.75 * product + 0.25 * np.eye(37)[0],
        "digit": np.eye(10)[3],
        "difference": np.array([-3.75]),
    }
    answer = Answer(
        number=7,
        task=task,
        values={"product": 21, "digit": 3, "difference": -4},
        probabilities={"product": 0.75, "digit": 1.0},
        agree=True,
        image=np.zeros(shape, "uint8"),
        predictions=predictions,
    )
    save_answer(tmp_path / "answer.png", answer)
    with Image.open(tmp_path / "answer.png") as image:
        image.verify()
    [figure] = drawn
    seen, *sides = figure.axes
    assert seen.get_title() == "what the model saw"
    titles = [axes.get_title("left") for axes in sides]
    check_texts(figure)
    assert titles == ["3 × 7 = 21", "digit 3", "3 − 7 = −4"]
    for axes, name in zip(sides[:2], ("product", "digit")):
        heights = [bar.get_height() for bar in axes.patches]
        assert heights == pytest.approx(list(predictions[name]))
        labels = [label.get_text() for label in axes.get_xticklabels()]
        values = [str(value) for value in task[name].values]
        assert labels == values[:: -(-len(values) // len(labels))]
    assert [text.get_text() for text in sides[2].texts] == ["-3.75"]


def test_style_of_the_user_is_left_out_and_stays():
    with matplotlib.rc_context({"text.usetex": True, "savefig.dpi": 3000}):
        with default_style():
            assert not matplotlib.rcParams["text.usetex"]
            assert matplotlib.rcParams["savefig.dpi"] == "figure"
        assert matplotlib.rcParams["savefig.dpi"] == 3000
