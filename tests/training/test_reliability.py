"""A run may be killed, stopped, starved or misled at any moment."""

import csv
import dataclasses
import hashlib
import json
import random
import re
import shlex
import signal
import subprocess
import time

import keras
import numpy as np
import pytest

import train
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import DivergedError
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.run_directory import ROOT
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training import checkpoints
from keras_mnist_sum.training import train as training
from keras_mnist_sum.training.callbacks import checkpoint as checkpoint_callback
from keras_mnist_sum.training.optimization import compile_model
from keras_mnist_sum.utils import atomic_files
from tests import interrupted


@pytest.fixture
def config(npz):
    """48 images, 6 steps an epoch; dropout has a random state of its own."""
    return Config(
        data=str(npz), backbone="dropout", width=4, steps=96, batch_size=8
    )


def outcome(run_dir):
    """A hash of the weights, the history, the means of its steps and the counts
    of a finished run, and the names of what it left."""
    run = Run(run_dir)
    weights = load_model(run.model).get_weights()
    digest = hashlib.sha256(b"".join(w.tobytes() for w in weights)).hexdigest()
    with open(run.history) as file:
        history = list(csv.DictReader(file))
    results = json.loads(run.results.read_text())
    for timed in (results, *history):
        timed.pop("training_seconds", None), timed.pop("seconds", None)
    names = sorted(str(p.relative_to(run_dir)) for p in run_dir.rglob("*"))
    return digest, history, run.steps.read_text(), results, names


@pytest.mark.slow
def test_killed_run_ends_as_if_it_had_not_been(config, tmp_path):
    """28 times by SIGKILL: after some step, inside a write, at any time."""
    assert interrupted.run(config, tmp_path / "whole") == 0
    expected = outcome(tmp_path / "whole")
    assert [int(row["epoch"]) for row in expected[1]] == list(range(1, 17))

    draw = random.Random(0)
    moments = ["begun", "written", "renamed"]
    kills = [(".ckpt", moment) for moment in moments]
    kills += [("history.csv", moment) for moment in moments]
    kills += [("steps.csv", "begun"), ("steps.csv", "renamed")]
    kills += [draw.randint(1, 8) for _ in range(6)]
    draw.shuffle(kills)
    kills[:0] = [("config.json", "begun"), ("environment.json", "written")]
    kills += [draw.uniform(0, 0.1) for _ in range(3)]  # seconds of training
    kills += [(name, "written") for name in ("model.keras", "1")]
    kills += [("results.json", "written"), ("results.json", "renamed")]
    kills += [("overview.png", "begun"), ("curves.png", "written")]
    run_dir = tmp_path / "killed"
    for kill in kills:
        trouble = (interrupted.signal_at_step, kill, signal.SIGKILL)
        if isinstance(kill, tuple):
            trouble = (interrupted.kill_while_writing, *kill)
        if isinstance(kill, float):
            trouble = (interrupted.kill_in_training, kill)
        code = interrupted.run(config, run_dir, *trouble)
        assert code == -signal.SIGKILL, kill
    for _ in range(3):  # Before the first step, or after the last one.
        process = interrupted.start(config, run_dir)
        time.sleep(draw.uniform(0, 2))
        process.kill()
        process.join(300)
    assert interrupted.run(config, run_dir) == 0
    for found, same in zip(outcome(run_dir), expected, strict=True):
        assert found == same


@pytest.mark.slow
def test_same_seed_gives_the_same_bytes_in_two_processes(config, tmp_path):
    """And another seed others."""
    runs_of = {}
    for name, seed in (("first", 0), ("second", 0), ("other", 1)):
        seeded = dataclasses.replace(config, seed=seed)
        runs_of[name] = interrupted.start(seeded, tmp_path / name)
    for process in runs_of.values():
        process.join(300)
    first, second, other = (outcome(tmp_path / name) for name in runs_of)
    assert first == second
    assert first[0] != other[0]


@pytest.fixture
def model(config):
    """Compiled, with weights of its own."""
    return compile_model(build_model(config), config)


def files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def damages(content):
    """Some of the ways in which a file goes bad, all over it."""
    for share in (0.0, 0.1, 0.5, 0.9):
        yield content[: int(len(content) * share)]
    yield content[:-1]
    places = [0, 30, 100, 150, len(content) // 2, len(content) - 1]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1
        yield bytes(flipped)


def test_damaged_checkpoint_gives_way_to_the_one_before(
    model, tmp_path, caplog
):
    for step in (10, 20):
        checkpoints.save(
            tmp_path, checkpoints.capture(model), step, {"seconds": 1.5}
        )
    _, newest = sorted(tmp_path.iterdir())
    content = newest.read_bytes()
    for damaged in damages(content):
        newest.write_bytes(damaged)
        caplog.clear()
        found = checkpoints.load_newest(tmp_path)
        assert found.step == 10 and found.notes == {"seconds": 1.5}
        [warning] = caplog.messages
        assert "damaged" in warning and str(newest) in warning
    newest.write_bytes(content)
    assert checkpoints.load_newest(tmp_path).step == 20


def test_without_a_whole_checkpoint_nothing_starts_from_scratch(
    config, npz, tmp_path, capsys
):
    folder = Run(tmp_path / "run").checkpoints
    code = interrupted.run(
        config, tmp_path / "run", interrupted.signal_at_step, 7, signal.SIGKILL
    )
    assert code == -signal.SIGKILL
    found = sorted(path.name for path in folder.glob("*.ckpt"))
    assert found == ["step-000000003.ckpt", "step-000000006.ckpt"]
    for path in folder.glob("*.ckpt"):
        path.write_bytes(path.read_bytes()[:-1])
    before = files(tmp_path)
    with pytest.raises(InputError, match="No checkpoint is whole.*Received"):
        training.train(config, tmp_path / "run")
    assert capsys.readouterr().out.count("WARNING: ") == 2
    assert files(tmp_path) == before


def test_checkpoints_do_not_pile_up(model, tmp_path):
    for step in range(1, 9):
        checkpoints.save(tmp_path, checkpoints.capture(model), step, {})
    steps = [int(path.stem[-9:]) for path in sorted(tmp_path.iterdir())]
    assert steps == [6, 7, 8] and checkpoints.KEEP == 3


def test_checkpoint_of_another_model_is_refused(model, config, tmp_path):
    checkpoints.save(tmp_path, checkpoints.capture(model), 1, {})
    checkpoint = checkpoints.load_newest(tmp_path)
    wider = Config(**{**vars(config), "width": 8})
    other = compile_model(build_model(wider), wider)
    with pytest.raises(InputError, match="of another model.*Received"):
        checkpoint.restore(other, "weights")


@pytest.mark.parametrize(
    "signum",
    [
        signal.SIGINT,
        signal.SIGTERM,
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_signal_finishes_the_step_and_saves(config, tmp_path, signum):
    """Also in the last step of an epoch, whose row it must not lack."""
    for step in (4, 2):
        code = interrupted.run(
            config, tmp_path, interrupted.signal_at_step, step, signum
        )
        assert code == 128 + signum
    folder = Run(tmp_path).checkpoints
    steps = [
        checkpoints.read(path).step for path in sorted(folder.glob("*.ckpt"))
    ]
    assert steps == [3, 4, 6]
    history = Run(tmp_path).history.read_text().splitlines()
    assert len(history) == 2 and history[1].startswith("1,6,")


@pytest.mark.slow
def test_stopped_command_says_how_to_go_on(npz, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "train", training.train)
    interrupted.signal_at_step(2, signal.SIGINT)
    flags = ["--data", str(npz), "--steps", "3", "--batch-size", "8"]
    assert train.main(flags) == 130
    said = capsys.readouterr()
    assert said.err == "\nSIGINT: stopped after step 2 of 3, saved\n"
    [advice] = [x for x in said.out.splitlines() if x.startswith("to go on: ")]
    words = shlex.split(advice.removeprefix("to go on: "))
    assert words[0] == "python" and words[1].endswith("train.py")
    assert words[2:-1] == [*flags, "--run-dir"]
    assert train.main(words[2:]) == 0
    assert ", going on after step 2\n" in capsys.readouterr().out


def test_new_run_names_an_unfinished_one_with_an_equal_config(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    config = Config(steps=3)
    for name, begun in (
        ("other", dataclasses.replace(config, seed=1)),
        ("same", dataclasses.replace(config, data="sample")),
        ("finished", config),
    ):
        atomic_files.write_text(Run(ROOT / name).config, begun.to_json())
    finished = Run(ROOT / "finished")
    for path in (finished.results, finished.overview, finished.curves):
        path.touch()
    atomic_files.write_text(Run(ROOT / "broken").config, "{")
    assert Run.unfinished(config).path == ROOT / "same"
    assert Run.unfinished(Config(steps=4)) is None
    assert Run.unfinished(Config(steps=3, data="elsewhere")) is None
    moved = Config(steps=3, data="sample", data_dir="elsewhere")
    assert Run.unfinished(moved).path == ROOT / "same"
    begun = dataclasses.replace(config, data=str(tmp_path / "mnist.npz"))
    atomic_files.write_text(Run(ROOT / "mine").config, begun.to_json())
    mine = Run.unfinished(Config(steps=3, data="mnist.npz"))
    assert mine.path == ROOT / "mine"


def ignore_hangups():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@pytest.mark.slow
def test_run_under_nohup_goes_on_after_a_hangup(config, tmp_path):
    config = dataclasses.replace(config, steps=6)
    code = interrupted.run(
        config,
        tmp_path,
        interrupted.signal_at_step,
        2,
        signal.SIGHUP,
        before=ignore_hangups,
    )
    assert code == 0 and Run(tmp_path).is_finished


@pytest.mark.slow
def test_second_ctrl_c_exits_at_once(config, tmp_path):
    trouble = (interrupted.signal_at_step, 4, signal.SIGINT, signal.SIGINT)
    code = interrupted.run(config, tmp_path, *trouble)
    assert code == 130
    [path] = Run(tmp_path).checkpoints.glob("*.ckpt")
    assert checkpoints.read(path).step == 3


def test_second_run_is_refused_while_the_first_lives(config, tmp_path):
    """And takes over when it has died, with what it left half-written."""
    announce = tmp_path / "saving"
    first = interrupted.start(
        config,
        tmp_path / "run",
        interrupted.pause_while_writing,
        ".ckpt",
        60,
        announce,
    )
    while not announce.exists():
        assert first.is_alive()
        time.sleep(0.1)
    with pytest.raises(InputError, match="Another process.*Received"):
        training.train(config, tmp_path / "run", verbose=0)
    first.kill()
    first.join()
    assert list((tmp_path / "run").rglob(".partial-*"))
    with Run(tmp_path / "run").lock():
        assert not list((tmp_path / "run").rglob(".partial-*"))


def test_other_config_or_data_in_the_same_directory_is_refused(
    config, npz, tmp_path
):
    run_dir = tmp_path / "run"
    code = interrupted.run(
        config, run_dir, interrupted.signal_at_step, 4, signal.SIGTERM
    )
    assert code == 143
    other = Config(**{**vars(config), "steps": 97, "learning_rate": 0.5})
    with pytest.raises(InputError) as error:
        training.train(other, run_dir, verbose=0)
    assert "steps=96, not 97, learning_rate=0.003, not 0.5" in str(error.value)
    arrays = dict(np.load(npz))
    arrays["x_train"][0, 0, 0] += 1
    np.savez(npz, **arrays)
    with pytest.raises(InputError, match="images or labels are not those"):
        training.train(config, run_dir, verbose=0)


def test_other_versions_are_one_line_of_warning(config, tmp_path, caplog):
    run = Run(tmp_path)
    run.begin(config)
    run.begin(config)
    assert not caplog.messages
    facts = json.loads(run.environment.read_text())
    keras_now = facts["packages"]["keras"]
    facts["packages"]["keras"] = "3.0.0"
    run.environment.write_text(json.dumps(facts))
    run.begin(config)
    [warning] = caplog.messages
    assert warning.endswith(f": keras 3.0.0 then, {keras_now} now")
    there = {**facts, "processor": "an older one", "cores": 99}
    run.environment.write_text(json.dumps(there))
    run.begin(config)
    _, warning = caplog.messages
    assert f"processor an older one then, {facts['processor']} now" in warning
    assert f"cores 99 then, {facts['cores']} now" in warning


def test_finished_run_says_so_and_changes_nothing(config, tmp_path, capsys):
    report = training.train(config, tmp_path / "run", verbose=0)
    before = files(tmp_path)
    assert training.train(config, tmp_path / "run") == report
    assert "was finished before" in capsys.readouterr().out
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "work, calls, step",
    [
        ("training.checkpoints.save", 2, 3),
        ("training.finish.export", 1, 96),
        pytest.param("training.finish.export", 2, 96, marks=pytest.mark.slow),
        pytest.param(
            "reporting.image_grids.overview", 1, 96, marks=pytest.mark.slow
        ),
        pytest.param(
            "reporting.curves.save_curves", 1, 96, marks=pytest.mark.slow
        ),
    ],
)
def test_full_disk_is_one_clear_line_and_keeps_the_last_checkpoint(
    config, tmp_path, work, calls, step
):
    """From the `calls`-th call of `work`; then a checkpoint after `step`."""
    trouble = (interrupted.small_files, work, calls, 20_000)
    assert interrupted.run(config, tmp_path, *trouble) == 2
    error = interrupted.errors(tmp_path)
    assert error.startswith("error: Cannot write. Received: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob(".partial-*"))
    folder = Run(tmp_path).checkpoints
    assert checkpoints.load_newest(folder).step == step


@pytest.fixture
def disk(tmp_path):
    """A disk of its own; calling the fixture's value sets its mount options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options)]
        return subprocess.run([*command, "tmpfs", folder], capture_output=True)

    if mount("size=1500k").returncode:
        pytest.skip("mounting a disk is not permitted here")
    yield lambda *options: mount("remount", *options).check_returncode()
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_run_goes_on_when_the_disk_has_room_again(config, tmp_path, disk):
    """First it is full, then read-only."""
    run_dir = tmp_path / "disk"
    for message in (
        r"error: Cannot write. Received: .*\(No space left on device\)\n",
        r"error: `run_dir` must be writable. Received: .*\n",
    ):
        assert interrupted.run(config, run_dir) == 2
        assert re.fullmatch(message, interrupted.errors(run_dir))
        assert not list(run_dir.rglob(".partial-*"))
        newest = checkpoints.load_newest(Run(run_dir).checkpoints)
        assert newest.step == 3
        disk("ro")
    disk("rw", "size=50m")
    assert interrupted.run(config, run_dir) == 0


def test_diverging_run_stops_and_keeps_the_last_good_checkpoint(
    config, tmp_path
):
    wild = Config(
        **{
            **vars(config),
            **dict(optimizer="sgd", learning_rate=100.0, warmup_fraction=0.5),
        }
    )
    with pytest.raises(DivergedError, match="lower learning rate.*after step"):
        training.train(wild, tmp_path, checkpoint_every=1, verbose=0)
    folder = Run(tmp_path).checkpoints
    newest = checkpoints.load_newest(folder)
    for arrays in newest.variables.values():
        assert all(np.all(np.isfinite(array)) for array in arrays)
    assert not Run(tmp_path).model.exists()


@pytest.fixture
def spoil():
    """A callback that makes a weight NaN after the second step."""

    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                weight = self.model.variables[0]
                weight.assign(np.full(weight.shape, np.nan))

    return Spoil()


def test_weights_that_are_not_finite_are_not_saved(config, tmp_path, spoil):
    with pytest.raises(DivergedError, match="a weight that is not finite"):
        training.train(
            config,
            tmp_path,
            callbacks=[spoil],
            checkpoint_every=1,
            verbose=0,
        )
    [path] = Run(tmp_path).checkpoints.glob("*.ckpt")
    assert path.name == "step-000000001.ckpt"


def test_checkpoint_is_due_after_seconds_if_no_steps_are_named(
    config, tmp_path, monkeypatch
):
    found = []

    class Wait(keras.callbacks.Callback):
        """Half a minute passes in the second step."""

        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                later = time.monotonic() + checkpoint_callback.SECONDS
                monkeypatch.setattr(time, "monotonic", lambda: later)
            found[:] = Run(tmp_path).checkpoints.glob("*.ckpt")
            if batch == 4:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        training.train(config, tmp_path, callbacks=[Wait()], verbose=0)
    [path] = found
    assert path.name == "step-000000002.ckpt"


@pytest.mark.slow
def test_memory_does_not_grow_with_steps(tmp_path):
    """Nor with epochs and checkpoints: 20 of each."""
    steps = 10_000
    config = Config(
        data="sample", backbone="small", width=2, steps=steps, batch_size=8
    )
    weighed = tmp_path / "weighed"
    trouble = (interrupted.weigh_at_steps, 500, weighed)
    assert interrupted.run(config, tmp_path / "run", *trouble, every=500) == 0
    memory = [int(line) for line in weighed.read_text().split()]
    assert len(memory) == steps / 500
    assert max(memory[4:]) < 1.02 * memory[3]
