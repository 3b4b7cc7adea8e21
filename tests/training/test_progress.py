import io

import pytest

from keras_mnist_sum.training.callbacks.progress import EpochLines
from keras_mnist_sum.training.callbacks.progress import Progress
from keras_mnist_sum.training.state import RunState

OUTPUTS = ["digit", "sum", "difference"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def train(
    stream,
    epochs=2,
    steps=3,
    validation=True,
    total=None,
    begun=0,
    shown=Progress,
):
    """What callbacks of a run see, with known numbers."""
    total = total or epochs * steps
    state = RunState(total, steps, step=begun)
    progress = shown(OUTPUTS, state, stream)
    logs = {}
    for i, name in enumerate(OUTPUTS):
        logs[f"{name}_loss"] = 0.125 + i
        logs[f"{name}_accuracy"] = 0.9 + i / 100
    if validation:
        logs.update({f"val_{name}": 0.5 for name in list(logs)})
    for epoch in range(epochs):
        count = min(steps, total - epoch * steps)
        progress.on_epoch_begin(epoch)
        for step in range(0 if epoch else begun, count):
            state.step += 1
            progress.on_train_batch_end(step, logs)
        progress.on_epoch_end(epoch, logs)
    return stream.getvalue()


def test_each_epoch_shows_loss_and_accuracy_of_each_output_twice():
    lines = train(io.StringIO()).splitlines()
    assert len(lines) == 2 + 2 * 2
    assert lines[2].startswith("epoch 1/2")
    numbers = lines[2].replace("|", " ").split()[-6:]
    assert numbers == ["0.125", "1.125", "2.125", "90.00", "91.00", "92.00"]
    assert lines[3].split()[0] == "validation"
    assert lines[3].count("50.00") == 3


def test_columns_stand_under_their_names():
    lines = train(io.StringIO()).splitlines()
    ends = [i + len(n) for n in OUTPUTS for i in [lines[1].index(n)]]
    for line, first in ((lines[2], "0.125"), (lines[3], "0.500")):
        assert line.index(first) + len(first) == ends[0]
        assert len(line) == len(lines[1])
        assert line.index("|") == lines[1].index("|")


@pytest.mark.parametrize(
    "loss, shown",
    [(0.125, "0.125"), (10.397, "10.40"), (123.46, "123.5"), (6543.2, "6543")],
)
def test_large_losses_keep_to_their_columns(loss, shown):
    stream = io.StringIO()
    progress = Progress(OUTPUTS, RunState(6, 3), stream)
    logs = {f"{name}_loss": loss for name in OUTPUTS}
    logs |= {f"{name}_accuracy": 0.5 for name in OUTPUTS}
    progress.on_epoch_begin(0)
    progress.on_epoch_end(0, logs)
    losses = stream.getvalue().splitlines()[-1].split("|")[0]
    assert losses.split()[-3:] == [shown] * 3


@pytest.mark.parametrize("epochs", [1, 10, 99])
def test_line_fits_a_terminal(monkeypatch, epochs):
    monkeypatch.setattr(
        "keras_mnist_sum.training.callbacks.progress.REFRESH", 0
    )
    for line in train(Terminal(), epochs).replace("\r", "\n").splitlines():
        assert len(line) < 80


def test_bar_of_a_short_last_epoch_fills_up(monkeypatch):
    monkeypatch.setattr(
        "keras_mnist_sum.training.callbacks.progress.REFRESH", 0
    )
    text = train(Terminal(), epochs=2, steps=6, total=9)
    drawn = [line for line in text.split("\r") if "epoch 2/2" in line]
    assert [line.count("━") for line in drawn] == [2, 4, 6, 6]


def test_bar_of_an_interrupted_epoch_goes_on_where_it_was(monkeypatch):
    monkeypatch.setattr(
        "keras_mnist_sum.training.callbacks.progress.REFRESH", 0
    )
    text = train(Terminal(), epochs=2, steps=6, begun=4)
    drawn = [line for line in text.split("\r") if "epoch 1/2" in line]
    assert [line.count("━") for line in drawn] == [5, 6, 6]


def test_a_file_gets_no_carriage_returns(monkeypatch):
    monkeypatch.setattr(
        "keras_mnist_sum.training.callbacks.progress.REFRESH", 0
    )
    assert "\r" not in train(io.StringIO())
    assert "\r" in train(Terminal())


def test_without_validation_there_is_no_second_line():
    assert "validation" not in train(io.StringIO(), validation=False)


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_lines_for_logs_are_one_an_epoch_and_say_what_they_show(stream):
    lines = train(stream(), total=5, shown=EpochLines).split("\n")
    assert lines == [
        "epoch 1/2, step 3/5, 0 s: digit 90.00 % (loss 0.125), "
        "sum 91.00 % (loss 1.125), difference 92.00 % (loss 2.125); "
        "validation: digit 50.00 % (loss 0.500), sum 50.00 % (loss 0.500), "
        "difference 50.00 % (loss 0.500)",
        lines[0].replace("epoch 1/2, step 3/5", "epoch 2/2, step 5/5"),
        "",
    ]
    assert "validation" not in train(
        stream(), validation=False, shown=EpochLines
    )
