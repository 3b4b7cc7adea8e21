"""Checkpoints are read as data, and not believed without a look."""

import hashlib
import io
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training import checkpoints
from keras_mnist_sum.training.optimization import compile_model
from keras_mnist_sum.training.state import RunState

CONFIG = Config(backbone="small", width=2, steps=20, batch_size=8)
ROWS = [
    {"epoch": 1, "step": 6, "learning_rate": 0.1, "loss": 2.5},
    {"epoch": 2, "step": 12, "learning_rate": 0.1, "loss": float("nan")},
]
NOTES = {
    "seconds": 1.5,
    "history": ROWS,
    "points": [{"step": 13, "done": 1, "learning_rate": 0.1}],
    "has_ended": False,
}


@pytest.fixture(scope="module")
def model():
    return compile_model(build_model(CONFIG), CONFIG)


@pytest.fixture(scope="module")
def arrays(model):
    return checkpoints.capture(model)


def write(path, arrays, notes):
    """A checkpoint with the right checksum, whatever is in it."""
    content = io.BytesIO()
    if not isinstance(notes, np.ndarray):
        notes = np.array(json.dumps(notes))
    np.savez(content, **arrays, notes=notes)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    head = f"keras_mnist_sum checkpoint {digest}\n".encode()
    path.write_bytes(head + content.getvalue())


def changed(arrays, name, value):
    return {**arrays, name: value}


SPOILED = {
    "NaN": lambda x: changed(x, "weights.0", x["weights.0"] * np.nan),
    "infinite": lambda x: changed(x, "optimizer.1", np.float32(np.inf)),
    "text": lambda x: changed(x, "weights.0", np.array(["1"])),
    "complex": lambda x: changed(x, "weights.0", x["weights.0"] * 1j),
    "objects": lambda x: changed(x, "weights.0", np.array([{}], object)),
    "an extra group": lambda x: changed(x, "others.0", np.zeros(1)),
    "an extra name": lambda x: changed(x, "weights.0.0", np.zeros(1)),
    "no replica": lambda x: changed(x, "metrics.0", np.float32(1)),
    "one left out": lambda x: {k: x[k] for k in x if k != "weights.0"},
    "another order": lambda x: dict(reversed(x.items())),
}
OTHERS = {
    "another shape": lambda x: changed(x, "weights.0", np.zeros((1, 2), "f4")),
    "another type": lambda x: changed(x, "weights.0", x["weights.0"] > 0),
    "another byte order": lambda x: changed(
        x, "weights.0", x["weights.0"].astype(">f4")
    ),
    "one more": lambda x: changed(x, "weights.99", np.zeros(1, "f4")),
    "more replicas of one": lambda x: changed(
        x, "metrics.0", np.zeros((2, 3), "f4")
    ),
    "no optimizer": lambda x: {k: x[k] for k in x if k[0] != "o"},
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_checkpoint_of_other_things_than_numbers_gives_way(
    arrays, tmp_path, caplog, spoil
):
    """To the one before, with one line."""
    write(tmp_path / "step-000000001.ckpt", arrays, {"step": 1})
    write(tmp_path / "step-000000002.ckpt", spoil(arrays), {"step": 2})
    assert checkpoints.load_newest(tmp_path).step == 1
    [warning] = caplog.messages
    assert "damaged. Received" in warning and "\n" not in warning


@pytest.mark.parametrize(
    "notes",
    [
        {},
        [],
        5,
        {"step": -1},
        {"step": 1.0},
        {"step": True},
        {"step": "1"},
        np.zeros((2, 2)),
        np.array("{"),
        np.array("[" * 10**5),
    ],
    ids=lambda notes: repr(notes)[:20],
)
def test_checkpoint_without_a_step_gives_way(arrays, tmp_path, caplog, notes):
    write(tmp_path / "step-000000001.ckpt", arrays, {"step": 1})
    write(tmp_path / "step-000000002.ckpt", arrays, notes)
    assert checkpoints.load_newest(tmp_path).step == 1
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("spoil", OTHERS.values(), ids=OTHERS)
def test_checkpoint_that_fits_another_model_is_one_clear_line(
    arrays, model, tmp_path, spoil
):
    """And changes no weight."""
    before = model.get_weights()
    content = {**spoil(arrays)}
    names = sorted(content, key=lambda x: (x[0], int(x.split(".")[1])))
    count = len([x for x in names if x[0] == "w"])
    content = {
        x.replace("weights.99", f"weights.{count - 1}"): content[x]
        for x in names
    }
    write(tmp_path / "step-000000001.ckpt", content, {"step": 1})
    checkpoint = checkpoints.load_newest(tmp_path)
    with pytest.raises(InputError, match="of another model.*Received") as error:
        checkpoint.restore(model, "weights", "optimizer", "metrics")
    assert len(str(error.value)) < 300
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def restore(step, notes):
    state = RunState(steps=20, steps_per_epoch=6)
    state.restore(checkpoints.Checkpoint(step, {}, notes))
    return state


@pytest.mark.parametrize(
    "step, changes",
    [
        (21, {}),
        (11, {}),
        (18, {}),
        (14, {"history": ROWS[:1]}),
        (14, {"history": [*ROWS, ROWS[1]]}),
        (14, {"history": [ROWS[1], ROWS[0]]}),
        (14, {"history": {}}),
        (14, {"history": [[], []]}),
        (14, {"history": [{**x, "loss": "2.5"} for x in ROWS]}),
        (14, {"history": [{**x, "loss": 10**400} for x in ROWS]}),
        (14, {"history": [{**x, "epoch": float(x["epoch"])} for x in ROWS]}),
        (14, {"history": [{"epoch": 1}, {"epoch": 2}]}),
        (14, {"points": [{"step": 13}]}),
        (14, {"points": NOTES["points"] * 2}),
        (14, {"points": [{"step": 14, "done": 1}]}),
        (14, {"points": [{"step": 15, "done": 3}]}),
        (14, {"points": None}),
        (14, {"seconds": "long"}),
        (14, {"seconds": -1}),
        (14, {"seconds": float("nan")}),
        (14, {"has_ended": "no"}),
        (14, {"has_ended": True}),
    ],
)
def test_notes_that_do_not_fit_the_run_are_one_clear_line(step, changes):
    with pytest.raises(InputError, match="not one of this run.*Received"):
        restore(step, {**NOTES, **changes})


def test_notes_of_a_run_are_taken_over():
    state = restore(14, NOTES)
    assert state.notes() == NOTES and state.step == 14
    ended = {**NOTES, "has_ended": True, "points": []}
    assert restore(10, ended).history == ROWS  # A callback ended it.


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        os.mkdir,
        lambda path: os.symlink("/dev/zero", path),
        lambda path: os.symlink(path, path),
        lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**33),
    ],
    ids=["pipe", "folder", "device", "link to itself", "8 GiB of nothing"],
)
def test_what_is_no_checkpoint_gives_way_and_keeps_nobody_waiting(
    arrays, tmp_path, caplog, make
):
    checkpoints.save(tmp_path, arrays, 1, {})
    make(tmp_path / "step-000000002.ckpt")
    assert checkpoints.load_newest(tmp_path).step == 1
    assert len(caplog.messages) == 1


def test_checkpoint_that_cannot_be_removed_is_a_warning(
    arrays, tmp_path, caplog, monkeypatch
):
    """And no reason to end a run."""

    def fail(path, missing_ok=False):
        raise OSError(5, "Input/output error")

    for step in range(1, 4):
        checkpoints.save(tmp_path, arrays, step, {})
    monkeypatch.setattr(Path, "unlink", fail)
    checkpoints.save(tmp_path, arrays, 4, {})
    [warning] = caplog.messages
    assert "step-000000001.ckpt' (Input/output error)" in warning
    assert checkpoints.load_newest(tmp_path).step == 4


def test_damaged_checkpoints_of_later_steps_do_not_crowd_out_new_ones(
    arrays, tmp_path
):
    for step in (7, 8, 9):
        (tmp_path / f"step-{step:09d}.ckpt").touch()
    checkpoints.save(tmp_path, arrays, 1, {})
    checkpoints.save(tmp_path, arrays, 2, {})
    assert [x.name[-6] for x in sorted(tmp_path.iterdir())] == ["1", "2"]


@pytest.mark.parametrize("now", [0, 7.3e9])
def test_order_of_checkpoints_does_not_depend_on_the_clock(
    arrays, tmp_path, monkeypatch, now
):
    """Which may be set to 1970 or to 2201 while a run trains."""
    for step in (999_999_999, 10**9):
        checkpoints.save(tmp_path, arrays, step, {})
        monkeypatch.setattr(time, "time", lambda: now)
        for path in tmp_path.iterdir():
            os.utime(path, (now - step, now - step))
    assert checkpoints.load_newest(tmp_path).step == 10**9
