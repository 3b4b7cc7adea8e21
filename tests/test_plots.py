import numpy as np
import pytest
from matplotlib import image as picture

from keras_mnist_sum import evaluation
from keras_mnist_sum import models
from keras_mnist_sum import plots
from keras_mnist_sum import task
from keras_mnist_sum.config import HEADS
from keras_mnist_sum.config import Config


@pytest.mark.parametrize("difference", task.DIFFERENCES)
@pytest.mark.parametrize("head", HEADS)
def test_overview_is_drawn_for_every_head(
    digits, head, difference, tmp_path, monkeypatch
):
    drawn = []
    draw = plots.draw_table
    monkeypatch.setattr(
        plots, "draw_table", lambda *of: drawn.append(of) or draw(*of)
    )
    model = models.build_model(
        Config(width=4, head=head, difference=difference)
    )
    answerer = evaluation.answerer_of_model(model)
    path = tmp_path / "overview.png"
    plots.save_overview(path, model, answerer, *digits, difference, "a title")
    pixels = picture.imread(path)
    assert pixels.shape[0] > 600 and pixels.shape[1] > 700
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 20
    assert list(tmp_path.iterdir()) == [path]
    # Learned tables are drawn, given ones are not.
    assert len(drawn) == (2 if head == "table" else 0)
