"""The picture of a comparison names every group and output in full."""

from pathlib import Path

import numpy as np
import pytest

from keras_mnist_sum.evaluation.comparison import Group
from keras_mnist_sum.reporting.comparison_plot import save_comparison
from tests.reporting.figures import check_texts

SETTINGS = (
    {"width": 32, "head": "table"},
    {"data": "/a/very/long/path/$to$/a/file.npz", "augmentation": "all"},
    {"": "runs/residual-2026-01-01-000000/model.keras"},
)


@pytest.mark.parametrize(
    "names",
    [("digit", "all"), ("digit", "squared_difference_of_digit", *"abc")],
)
def test_long_names_have_room(tmp_path, drawn, names):
    rng = np.random.default_rng(0)
    groups = [
        Group(
            settings=settings,
            paths=(Path("a"),) * 3,
            scores=(),
            correct={name: rng.random((3, 50, 10)) > 0.1**i for name in names},
        )
        for i, settings in enumerate(SETTINGS, 1)
    ]
    save_comparison(tmp_path / "plot.png", groups)
    [figure] = drawn
    check_texts(figure)
    titles = [axes.get_title() for axes in figure.axes if axes.axison]
    assert titles == list(names)
    for axes in figure.axes[: len(names)]:
        assert len(axes.get_lines()) == 3 * len(groups)
