import io
import time

import pytest

from keras_mnist_sum.training.callbacks import progress
from keras_mnist_sum.training.callbacks.progress import EpochLines
from keras_mnist_sum.training.callbacks.progress import Progress
from keras_mnist_sum.training.state import RunState

OUTPUTS = ["digit", "sum", "difference"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def redrawn_at_each_step(monkeypatch):
    monkeypatch.setattr(progress, "REFRESH", 0)
    monkeypatch.setenv("COLUMNS", "80")


def train(
    stream,
    epochs=2,
    steps=3,
    validation=True,
    total=None,
    begun=0,
    shown=Progress,
    ended_after=None,
):
    """What callbacks of a run see, with known numbers."""
    total = total or epochs * steps
    state = RunState(total, steps, step=begun)
    options = {"validates": validation} if shown is Progress else {}
    display = shown(OUTPUTS, state, stream, **options)
    logs = {"loss": 6.125}
    for i, name in enumerate(OUTPUTS):
        logs[f"{name}_loss"] = 0.125 + i
        logs[f"{name}_accuracy"] = 0.9 + i / 100
    if validation:
        logs.update({f"val_{name}": 0.5 for name in list(logs)})
    display.on_train_begin()
    for epoch in range(ended_after or epochs):
        count = min(steps, total - epoch * steps)
        display.on_epoch_begin(epoch)
        for step in range(0 if epoch else begun, count):
            state.step += 1
            display.on_train_batch_end(step, logs)
        display.on_epoch_end(epoch, logs)
    display.on_train_end()
    return stream.getvalue()


def on_screen(text):
    """The lines that a terminal shows in the end."""
    lines = text.removesuffix("\n").split("\n")
    return [line.rpartition("\r")[2].rstrip() for line in lines]


def test_each_line_shows_loss_and_accuracies_of_training_and_validation():
    lines = train(io.StringIO()).splitlines()
    assert len(lines) == 2 + 2
    assert lines[2].startswith("epoch 1/2")
    time, loss, *shares = lines[2].replace("|", " ").split()[2:]
    assert (time, loss) == ("0s", "6.125")
    assert shares == ["90.00", "91.00", "92.00", *3 * ["50.00"]]


def test_columns_stand_under_their_names():
    lines = train(io.StringIO()).splitlines()
    assert lines[1].split() == ["loss", "|", *OUTPUTS, "|", *OUTPUTS]
    for line in lines[2:]:
        assert len(line) == len(lines[0]) == len(lines[1])
        for place, mark in enumerate(lines[1]):
            assert (mark == "|") == (line[place] == "|")


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@pytest.mark.parametrize(
    "epochs, shown",
    [
        (1, [1]),
        (12, [*range(1, 13)]),
        (13, [2, 3, 4, 6, 7, 8, 10, 11, 12, 13]),
        (67, [7, 14, 21, 27, 34, 41, 47, 54, 61, 67]),
        (2000, [*range(200, 2001, 200)]),
    ],
)
def test_a_run_of_many_epochs_has_a_line_for_each_tenth(stream, epochs, shown):
    lines = on_screen(train(stream(), epochs, steps=1))[2:]
    assert [int(line[5:].partition("/")[0]) for line in lines] == shown


def test_epoch_after_which_a_run_is_ended_has_its_line():
    lines = train(io.StringIO(), epochs=60, ended_after=10).splitlines()
    assert [line[:11] for line in lines[2:]] == ["epoch  6/60", "epoch 10/60"]


@pytest.mark.parametrize(
    "loss, shown",
    [(0.125, "0.125"), (10.397, "10.40"), (123.46, "123.5"), (6543.2, "6543")],
)
def test_large_losses_keep_to_their_columns(loss, shown):
    stream = io.StringIO()
    display = Progress(OUTPUTS, RunState(6, 3), stream)
    logs = {"loss": loss} | {f"{name}_accuracy": 0.5 for name in OUTPUTS}
    display.on_train_begin()
    display.on_epoch_end(0, logs)
    heading, line = stream.getvalue().splitlines()[1:]
    assert line.split("|")[0].split()[-1] == shown
    assert line.index("|") == heading.index("|")


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("epochs", [1, 10, 99])
@pytest.mark.parametrize("validation", [True, False])
def test_line_fits_a_terminal(monkeypatch, columns, epochs, validation):
    """What is wrapped could not be redrawn. Accuracies are left out last."""
    monkeypatch.setenv("COLUMNS", str(columns))
    text = train(Terminal(), epochs, validation=validation)
    for line in text.replace("\r", "\n").splitlines():
        assert len(line) < columns
    for line in on_screen(text)[2:]:
        assert ("50.00" if validation else "92.00") in line


def bars(text):
    return [line.count("━") for line in text.split("\r") if "━" in line]


def test_bar_fills_up_over_the_whole_run():
    """Whose last epoch may be shorter."""
    assert bars(train(Terminal(), epochs=2, steps=6, total=10)) == [
        *range(1, 11)
    ]


def test_bar_of_an_interrupted_run_goes_on_where_it_was():
    text = train(Terminal(), epochs=2, steps=5, begun=4)
    assert bars(text) == [*range(5, 11)]


def test_first_step_is_said_to_be_compiled_and_counts_in_no_estimate(
    monkeypatch,
):
    """It takes seconds, where others take a tenth of one."""
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stream = Terminal()
    state = RunState(1001, 1001)
    display = Progress(OUTPUTS, state, stream)
    display.on_train_begin()
    assert stream.getvalue().endswith("| compiling the first step")
    logs = {f"{name}_accuracy": 0.5 for name in OUTPUTS}
    drawn = {}
    for seconds in [9, *100 * [0.1]]:
        clock[0] += seconds
        state.step += 1
        display.on_train_batch_end(state.step - 1, logs)
        drawn[state.step] = stream.getvalue().rpartition("\r")[2]
    assert not [step for step in range(1, 20) if "left" in drawn[step]]
    assert drawn[31].rstrip().endswith("2 min left")  # 97 seconds
    assert drawn[101].rstrip().endswith("90 s left") or (
        drawn[101].rstrip().endswith("2 min left")
    )


def test_a_file_gets_no_carriage_returns():
    assert "\r" not in train(io.StringIO())
    assert "\r" in train(Terminal())


def test_without_validation_there_are_no_columns_for_it():
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
