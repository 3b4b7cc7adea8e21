import csv
import dataclasses

import pytest
from matplotlib import image as picture
from matplotlib.figure import Figure

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.reporting import curves

CONFIG = Config(steps=12, batch_size=8)


def write_history(path, epochs=3, held_out=True, **values):
    rows = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "step": min(5 * epoch, 12), "seconds": epoch}
        row["learning_rate"] = 0.001
        for name in ("digit", "sum", "difference"):
            for prefix in ("", "val_") if held_out else ("",):
                row[f"{prefix}{name}_loss"] = 1 / epoch
                row[f"{prefix}{name}_accuracy"] = 1 - 0.5 / epoch
        rows.append({**row, **values})
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved."""
    figures, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, path: figures.append(figure) or save(figure, path),
    )
    return figures


@pytest.mark.parametrize("held_out", [True, False])
@pytest.mark.parametrize("epochs", [1, 3])
def test_curves_show_every_row_of_the_history(
    tmp_path, drawn, held_out, epochs
):
    path = tmp_path / run_directory.CURVES
    write_history(tmp_path / run_directory.HISTORY, epochs, held_out)
    curves.save_curves(path, tmp_path / run_directory.HISTORY, CONFIG)
    assert picture.imread(path).shape == (780, 1000, 4)
    [figure] = drawn
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert {"digit", "sum", "difference", "learning rate"} < set(panels)
    steps = [5, 10, 12][:epochs]
    for axes in figure.axes[:-1]:
        lines = axes.get_lines()
        assert len(lines) == 1 + held_out
        for line in lines:
            assert list(line.get_xdata()) == steps
    [training, *_] = panels["sum"].get_lines()
    assert list(training.get_ydata()) == pytest.approx(
        [50, 75, 100 - 50 / 3][:epochs]
    )
    schedule, dots = panels["learning rate"].get_lines()
    assert schedule.get_ydata().max() == pytest.approx(0.003, rel=0.05)
    assert list(dots.get_xdata()) == steps
    assert list(dots.get_ydata()) == [0.001] * epochs


def test_each_panel_says_where_it_ended(tmp_path, drawn):
    write_history(tmp_path / "h.csv", val_sum_accuracy=0.125, val_sum_loss=7.5)
    curves.save_curves(tmp_path / "c.png", tmp_path / "h.csv", CONFIG)
    said = [[text.get_text() for text in axes.texts] for axes in drawn[0].axes]
    assert ["● training 83.33 %", "◆ held out 12.50 %"] in said
    assert ["● training 0.333", "◆ held out 7.500"] in said


def test_losses_below_zero_are_drawn(tmp_path, drawn):
    """As of `negative_probability`; those of values have their own scale."""
    write_history(tmp_path / "h.csv", digit_loss=-0.9, sum_loss=50.0)
    config = dataclasses.replace(
        CONFIG, head="regression", digit_loss="negative_probability"
    )
    curves.save_curves(tmp_path / "c.png", tmp_path / "h.csv", config)
    losses = [axes for axes in drawn[0].axes if len(axes.texts)][1::2]
    assert [axes.get_yscale() for axes in losses] == ["linear", "log", "log"]
    assert losses[0].get_ylim()[0] < -0.9 and losses[1].get_ylim()[1] > 50
    assert losses[2].get_ylim()[1] < 50


@pytest.mark.parametrize(
    "text", ["", "epoch,step\n", "a,b\n1,2\n", "step,learning_rate\n1,x\n"]
)
def test_what_is_no_history_is_refused(tmp_path, text):
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="no history.*Received:"):
        curves.save_curves(tmp_path / "c.png", path, CONFIG)
    with pytest.raises(InputError, match="Cannot read.*Received:"):
        curves.read_history(tmp_path / "missing.csv")
    assert list(tmp_path.iterdir()) == [path]
