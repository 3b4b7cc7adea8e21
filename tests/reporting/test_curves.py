"""`curves.png` shows a run's history, whatever the task."""

import csv
import dataclasses

import numpy as np
import pytest
from matplotlib import image as picture

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.reporting import curves
from keras_mnist_sum.training.optimization import sample_learning_rates
from tests.reporting.figures import check_texts

CONFIG = Config(steps=12, batch_size=8)
TITLE = "a title"


def write_history(path, epochs=3, validation=True, task=CONFIG.task, **values):
    rows = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "step": min(5 * epoch, 12), "seconds": epoch}
        row["learning_rate"] = 0.001
        for name in task:
            for prefix in ("", "val_") if validation else ("",):
                row[f"{prefix}{name}_loss"] = 1 / epoch
                row[f"{prefix}{name}_accuracy"] = 1 - 0.5 / epoch
        rows.append({**row, **values})
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def save_curves(path, history, config=CONFIG, steps=None):
    rates = sample_learning_rates(config)
    curves.save_curves(path, history, config.task, TITLE, rates, steps)


@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("epochs", [1, 3])
def test_curves_show_every_row_of_the_history(
    tmp_path, drawn, validation, epochs
):
    run = Run(tmp_path)
    write_history(run.history, epochs, validation)
    save_curves(run.curves, run.history)
    assert picture.imread(run.curves).shape[1:] == (1200, 4)
    [figure] = drawn
    check_texts(figure)
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert {"digit", "sum", "difference", "learning rate"} < set(panels)
    steps = [5, 10, 12][:epochs]
    begins = [0, *steps[:-1]]
    for axes in figure.axes[:-1]:
        training, *validated = axes.get_lines()
        # A mean stands at the middle of the steps that it was taken of.
        middles = [sum(ends) / 2 for ends in zip(begins, steps)]
        assert list(training.get_xdata()) == middles
        [bars] = [x.get_segments() for x in axes.collections]
        assert [list(bar[:, 0]) for bar in bars] == [
            list(ends) for ends in zip(begins, steps)
        ]
        assert len(validated) == validation
        for line in validated:
            assert list(line.get_xdata()) == steps
    [training, *_] = panels["sum"].get_lines()
    assert list(training.get_ydata()) == pytest.approx(
        [50, 25, 50 / 3][:epochs]
    )
    assert panels["sum"].get_yscale() == "log"
    schedule, dots = panels["learning rate"].get_lines()
    assert schedule.get_ydata().max() == pytest.approx(0.003, rel=0.05)
    assert list(dots.get_xdata()) == steps
    assert list(dots.get_ydata()) == [0.001] * epochs
    assert figure.get_suptitle().startswith(TITLE)


def test_steps_show_training_within_the_epochs(tmp_path, drawn):
    """As means over as many steps as there is room for."""
    write_history(tmp_path / "h.csv")
    steps = tmp_path / "s.csv"
    lines = ["step," + ",".join(f"{x}_loss,{x}_accuracy" for x in CONFIG.task)]
    lines += [f"{step}" + 3 * f",{step},0.5" for step in range(1, 81)]
    steps.write_text("\n".join(lines))
    save_curves(tmp_path / "c.png", tmp_path / "h.csv", steps=steps)
    check_texts(drawn[0])
    _, loss, *_ = drawn[0].axes
    training, validated = loss.get_lines()
    assert list(training.get_xdata()) == [*range(1, 80, 2)]
    assert list(training.get_ydata()) == [x + 0.5 for x in range(1, 80, 2)]
    assert list(validated.get_xdata()) == [5, 10, 12]
    labels = [x.get_text() for x in drawn[0].legends[0].get_texts()]
    assert labels[0] == "training: mean over about 2 steps"
    # Means from float32 are off by little, to both sides of what is flawless.
    values = [0.5, 0.75, 0.9999999, 1.0000001]
    lines[1:] = [f"{i + 1}" + 3 * f",1,{x}" for i, x in enumerate(values)]
    steps.write_text("\n".join(lines))
    save_curves(tmp_path / "c.png", tmp_path / "h.csv", steps=steps)
    wrong = drawn[1].axes[0]
    assert wrong.get_yscale() == "log"
    least = wrong.get_ylim()[0]
    assert list(wrong.get_lines()[0].get_ydata()) == [50, 25, least, least]
    steps.write_text("step\n1\n")
    with pytest.raises(InputError, match="not the history.*s.csv"):
        save_curves(tmp_path / "c.png", tmp_path / "h.csv", steps=steps)


@pytest.mark.parametrize("text", ["", "\n", "step,loss\n"])
def test_run_without_steps_is_shown_by_its_epochs(tmp_path, drawn, text):
    write_history(tmp_path / "h.csv")
    (tmp_path / "s.csv").write_text(text)
    save_curves(
        tmp_path / "c.png", tmp_path / "h.csv", steps=tmp_path / "s.csv"
    )
    [training, *_] = drawn[0].axes[0].get_lines()
    assert list(training.get_xdata()) == [2.5, 7.5, 11]
    [label, *_] = drawn[0].legends[0].get_texts()
    assert label.get_text() == "training: mean over an epoch"


def test_steps_that_begin_late_are_drawn_from_their_epoch_on(tmp_path, drawn):
    """As of a run that went on from a checkpoint of an earlier version."""
    write_history(tmp_path / "h.csv")
    lines = ["step," + ",".join(f"{x}_loss,{x}_accuracy" for x in CONFIG.task)]
    lines += [f"{step}" + 3 * ",0.5,0.5" for step in (7, 10, 12)]
    (tmp_path / "s.csv").write_text("\n".join(lines))
    save_curves(
        tmp_path / "c.png", tmp_path / "h.csv", steps=tmp_path / "s.csv"
    )
    axes = drawn[0].axes[0]
    [bars] = [x.get_segments() for x in axes.collections]
    ends = [(5, 7), (7, 10), (10, 12)]
    assert [tuple(bar[:, 0]) for bar in bars] == ends
    assert list(axes.get_lines()[0].get_xdata()) == [6, 8.5, 11]
    [label, *_] = drawn[0].legends[0].get_texts()
    assert label.get_text() == "training: mean over about 2 steps"


def test_each_panel_says_where_it_ended(tmp_path, drawn):
    write_history(tmp_path / "h.csv", val_sum_accuracy=0.125, val_sum_loss=7.5)
    save_curves(tmp_path / "c.png", tmp_path / "h.csv")
    said = [[text.get_text() for text in axes.texts] for axes in drawn[0].axes]
    assert ["● 16.67 %", "◆ 87.50 %"] in said
    assert ["● 0.333", "◆ 7.500"] in said
    assert [x.get_text() for x in drawn[0].legends[0].get_texts()] == [
        "training: mean over an epoch",
        "validation: after an epoch",
    ]


@pytest.mark.parametrize("accuracy", [1.0, 0.0])
def test_flawless_and_hopeless_epochs_are_drawn(tmp_path, drawn, accuracy):
    write_history(
        tmp_path / "h.csv", val_sum_accuracy=accuracy, digit_accuracy=accuracy
    )
    save_curves(tmp_path / "c.png", tmp_path / "h.csv")
    check_texts(drawn[0])
    for axes in drawn[0].axes[:-1]:
        low, high = axes.get_ylim()
        for line in axes.get_lines():
            assert (low <= line.get_ydata()).all()
            assert (line.get_ydata() <= high).all()


def test_labels_of_a_long_way_down_stay_apart(tmp_path, drawn):
    for lowest in (0.03, 1e-5):
        write_history(tmp_path / "h.csv", digit_loss=lowest, val_digit_loss=5)
        save_curves(tmp_path / "c.png", tmp_path / "h.csv")
        check_texts(drawn[-1])


def test_losses_below_zero_are_drawn(tmp_path, drawn):
    """As of `negative_probability`; those of values have their own scale."""
    write_history(tmp_path / "h.csv", digit_loss=-0.9, sum_loss=50.0)
    config = dataclasses.replace(
        CONFIG, head="regression", digit_loss="negative_probability"
    )
    save_curves(tmp_path / "c.png", tmp_path / "h.csv", config)
    losses = [axes for axes in drawn[0].axes if len(axes.texts)][1::2]
    assert [axes.get_yscale() for axes in losses] == ["linear", "log", "log"]
    assert losses[0].get_ylim()[0] < -0.9 and losses[1].get_ylim()[1] > 50
    assert losses[2].get_ylim()[1] < 50


@pytest.mark.parametrize(
    "outputs",
    [
        ("digit", "greater"),
        ("product", "digit", "greater", "sum", "difference"),
    ],
)
def test_curves_have_a_column_for_each_output(tmp_path, drawn, outputs):
    config = dataclasses.replace(CONFIG, outputs=outputs)
    write_history(tmp_path / "h.csv", task=config.task)
    save_curves(tmp_path / "c.png", tmp_path / "h.csv", config)
    *panels, rate = drawn[0].axes
    assert len(panels) == 2 * len(outputs)
    assert [axes.get_title() for axes in panels[::2]] == list(outputs)
    assert rate.get_title() == "learning rate"


def test_learning_rates_are_drawn_as_they_are_given(tmp_path, drawn):
    write_history(tmp_path / "h.csv")
    rates = np.array([[0, 4, 8, 12], [0.0, 0.5, 0.25, 0.125]])
    curves.save_curves(
        tmp_path / "c.png", tmp_path / "h.csv", CONFIG.task, TITLE, rates
    )
    schedule, _ = drawn[0].axes[-1].get_lines()
    np.testing.assert_array_equal(schedule.get_data(), rates)


def test_history_is_read_as_numbers(tmp_path):
    write_history(tmp_path / "h.csv", val_sum_accuracy=0.125)
    rows = curves.read_history(tmp_path / "h.csv", CONFIG.task)
    assert [row["step"] for row in rows] == [5, 10, 12]
    assert rows[0]["digit_loss"] == 1 and rows[2]["val_sum_accuracy"] == 0.125


@pytest.mark.parametrize(
    "text", ["", "epoch,step\n", "a,b\n1,2\n", "step,learning_rate\n1,x\n"]
)
def test_rejects_invalid_history(tmp_path, text):
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="not the history.*Received:"):
        save_curves(tmp_path / "c.png", path)
    with pytest.raises(InputError, match="Cannot read.*Received:"):
        curves.read_history(tmp_path / "missing.csv", CONFIG.task)
    assert list(tmp_path.iterdir()) == [path]


def test_rejects_the_history_of_another_task(tmp_path):
    path = tmp_path / "history.csv"
    write_history(path)
    other = dataclasses.replace(CONFIG, outputs=("digit", "product"))
    with pytest.raises(InputError, match="not the history.*Received:"):
        save_curves(tmp_path / "c.png", path, other)
    assert list(tmp_path.iterdir()) == [path]
