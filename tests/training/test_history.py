"""`steps.csv`: means over some steps, and a row at the end of each epoch."""

import csv
import types

import keras
import pytest

from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.training.callbacks import history
from keras_mnist_sum.training.state import RunState


@pytest.fixture
def write(tmp_path):
    """The callback, with a point every 5 steps."""
    callback = history.WriteHistory(
        run=Run(tmp_path),
        state=RunState(steps=1000, steps_per_epoch=500),
        outputs=["sum"],
        metrics={"sum_top3": True, "sum_largest": False},
    )
    optimizer = keras.optimizers.SGD(0.5)
    callback.set_model(
        types.SimpleNamespace(stop_training=False, optimizer=optimizer)
    )
    return callback


def rows(callback, steps, **logs):
    """Those of `steps.csv` after an epoch of some steps."""
    for batch in range(steps):
        callback.state.step += 1
        callback.on_train_batch_end(batch, {"loss": 2.0, **logs})
    callback.on_epoch_end(0, {"loss": 2.0, "val_loss": 9.0, **logs})
    with open(callback.run.steps) as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("steps, ends", [(3, "3"), (5, "5"), (12, "5 10 12")])
def test_epoch_that_another_worker_ends_has_a_last_row(write, steps, ends):
    """That it does is not known yet when the step ends."""
    found = rows(write, steps)
    assert [row["step"] for row in found] == ends.split()
    assert {row["loss"] for row in found} == {"2.0"}


@pytest.mark.parametrize("steps", [3, 5])
def test_steps_have_means_alone(write, steps):
    """Whatever callbacks and metrics of the user log."""
    means = {"sum_loss": 1.0, "sum_accuracy": 0.5, "sum_top3": 0.75}
    others = {"sum_largest": 0.5, "norm": 5.0, "best_accuracy": 7.0}
    [row] = rows(write, steps, **means, **others)
    assert row.keys() == {"step", "loss", *means}


def test_accuracies_of_outputs_alone_are_kept_within_0_and_1():
    """Differences of rounded means may be beyond."""
    names = ("sum_loss", "sum_accuracy", "sum_other_accuracy")
    points = [
        {"step": step, "done": step, **dict.fromkeys(names, value)}
        for step, value in ((1, 5.0), (2, 1.0))
    ]
    _, last = history.means_between(points)
    assert [last[name] for name in names] == [-3.0, 0.0, -3.0]
