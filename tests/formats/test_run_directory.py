"""A run directory: whose it is, and which is the newest."""

import errno
import fcntl
import os
import time

import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.open import FORMATS
from keras_mnist_sum.formats.run_directory import ROOT
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.utils import atomic_files

CONFIG = Config(steps=3)


def test_run_directory_must_be_new_or_empty_or_a_run(tmp_path):
    Run.open(tmp_path / "a" / "b", CONFIG)
    run = Run.open(tmp_path, CONFIG)
    # What is there when a run is killed before it has begun.
    run.checkpoints.mkdir()
    (run.checkpoints / "lock").touch()
    (tmp_path / ".partial-1-config.json").touch()  # of an earlier version
    (tmp_path / ".partial-keras_mnist_sum-abcd_123").mkdir()
    Run.open(tmp_path, CONFIG)
    (tmp_path / ".partial-notes").touch()  # a user's
    with pytest.raises(InputError, match="which holds .partial-notes"):
        Run.open(tmp_path, CONFIG)
    (tmp_path / ".partial-notes").unlink()
    # A run deletes its checkpoints when it ends: they must be its own.
    (run.checkpoints / "best.pt").touch()
    with pytest.raises(InputError, match="which holds checkpoints/best.pt"):
        Run.open(tmp_path, CONFIG)
    (run.checkpoints / "best.pt").unlink()
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="`run_dir` must be.*Received"):
            Run.open(path, CONFIG)
    run.config.write_text(CONFIG.to_json())
    Run.open(tmp_path, CONFIG)


def test_opening_refuses_another_config_and_writes_nothing(tmp_path):
    """And leaves open what is only known once the data is read."""
    run = Run(tmp_path)
    run.config.write_text(CONFIG.to_json())
    with pytest.raises(InputError, match="steps=3, not 4"):
        Run.open(tmp_path, Config(steps=4))
    assert Run.open(tmp_path, Config(epochs=2.0)).has_begun
    assert os.listdir(tmp_path) == [run.config.name]


def test_run_is_finished_when_its_results_and_pictures_are_there(tmp_path):
    run = Run(tmp_path)
    assert not run.has_begun
    run.begin(CONFIG)
    assert run.has_begun and not run.is_scored
    assert run.read_config() == CONFIG
    run.results.touch()
    run.overview.touch()
    assert run.is_scored and not run.is_finished
    run.curves.touch()
    assert run.is_finished


def test_model_files_lie_where_exports_write_them(tmp_path):
    run = Run(tmp_path)
    assert run.model == tmp_path / FORMATS["keras"].name
    assert run.saved_model == tmp_path / FORMATS["saved_model"].name


def test_newest_run_is_the_one_whose_model_was_written_last(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert Run.newest() is None
    for name, seconds in (("a", 200), ("b", 300), ("c", 100)):
        model = Run(ROOT / name).model
        atomic_files.write_text(model, "")
        os.utime(model, (seconds, seconds))
    (ROOT / "unfinished").mkdir()
    make(Run(ROOT / "pipe").model, "pipe")
    make(Run(ROOT / "folder").model, "folder")
    assert Run.newest().path == ROOT / "b"


def test_new_run_directory_bears_the_preset_and_the_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Run.create("residual").path
    assert path.parent == ROOT and path.is_dir()
    assert path.name.startswith("residual-20")


def test_runs_that_begin_in_one_second_have_directories_of_their_own(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda form: "now")
    names = [Run.create("fast").path.name for _ in range(3)]
    assert names == ["fast-now", "fast-now-2", "fast-now-3"]


def test_folder_of_runs_that_leads_nowhere_is_one_clear_line(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ROOT.symlink_to("not/mounted")
    with pytest.raises(InputError, match="Cannot write. Received: 'runs/fast"):
        Run.create("fast")


def test_file_system_without_locks_is_one_line_of_warning(
    tmp_path, monkeypatch, caplog
):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with Run(tmp_path).lock():
        pass
    [warning] = caplog.messages
    assert "No locks available" in warning and str(tmp_path) in warning


def test_lock_is_held_once_and_lifted_again(tmp_path):
    run = Run(tmp_path)
    for _ in range(2):
        with (
            run.lock(),
            pytest.raises(InputError, match="Another process"),
            Run(tmp_path).lock(),
        ):
            pytest.fail("there are two")


def test_locking_removes_what_killed_processes_left_and_nothing_else(tmp_path):
    run = Run(tmp_path)
    run.saved_model.mkdir(parents=True)
    for folder in (tmp_path, run.saved_model.parent):
        (folder / ".partial-keras_mnist_sum-abcd_123" / "1").mkdir(parents=True)
        (folder / ".partial-12-1").mkdir()  # of an earlier version
        (folder / ".partial-notes").touch()  # a user's
    with atomic_files.atomic_write(run.results) as aside, run.lock():
        aside.write_text("{}")  # Another process may write, and be no trainer.
    left = {str(x.relative_to(tmp_path)) for x in tmp_path.rglob("*")}
    assert left == {
        "checkpoints",
        "checkpoints/lock",
        "results.json",
        "saved_model",
        "saved_model/1",
        ".partial-notes",
        "saved_model/.partial-notes",
    }


@pytest.mark.parametrize(
    "name", ["results.json", "checkpoints/lock", "overview.png", "model.keras"]
)
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "astray"])
def test_place_that_is_taken_is_noticed_before_any_work(tmp_path, name, kind):
    run, path = Run(tmp_path), tmp_path / name
    run.config.write_text(CONFIG.to_json())
    Run.open(tmp_path, CONFIG)
    path.parent.mkdir(exist_ok=True)
    make(path, kind)
    with pytest.raises(InputError, match=f"{name} in .* plain file. Received"):
        Run.open(tmp_path, CONFIG)


@pytest.mark.parametrize("name", ["checkpoints", "saved_model", "tensorboard"])
def test_folder_that_is_a_file_is_noticed_before_any_work(tmp_path, name):
    Run(tmp_path).config.write_text(CONFIG.to_json())
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=f"{name} in .* folder. Received"):
        Run.open(tmp_path, CONFIG)


@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "astray"])
def test_config_that_is_no_plain_file_makes_no_run(tmp_path, kind):
    run = Run(tmp_path)
    make(run.config, kind)
    assert not run.has_begun
    for call in (run.read_config, lambda: Run.open(tmp_path, CONFIG)):
        with pytest.raises(InputError, match="Received.*config.json"):
            call()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", "3", "null", '"' + "x" * 9, "[" * 10**5, '{"a":' * 10**5],
)
def test_results_that_are_damaged_are_one_clear_line(tmp_path, text):
    run = Run(tmp_path)
    run.results.write_text('{"pairs": 10}')
    assert run.read_results() == {"pairs": 10}
    run.results.write_text(text)
    with pytest.raises(InputError, match="JSON object.*Received.*results.json"):
        run.read_results()


@pytest.mark.parametrize("content", [b"\xff", b"[]", b'{"packages": 3}'])
def test_environment_that_cannot_be_read_is_a_warning(
    tmp_path, caplog, content
):
    run = Run(tmp_path)
    run.begin(CONFIG)
    run.environment.write_bytes(content)
    run.begin(CONFIG)
    [warning] = caplog.messages
    assert warning.startswith("results may differ in their last digits: ")


def test_directory_that_is_not_utf_8_is_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match="Received: .*UTF-8"):
        Run.open(tmp_path / os.fsdecode(b"\xff"), CONFIG)


@pytest.mark.parametrize("seconds", [0, 7.3e9])  # in 1970 and in 2201
def test_clock_that_is_reset_is_refused_before_any_work(
    tmp_path, monkeypatch, seconds
):
    """What is trained could not be written."""
    then = time.gmtime(seconds)
    monkeypatch.setattr(time, "localtime", lambda *seconds: then)
    with pytest.raises(InputError, match="set the clock"):
        Run.open(tmp_path / "run", CONFIG)


def make(path, kind):
    """Makes something that is no plain file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "loop": lambda: path.symlink_to(path.name),
        "astray": lambda: path.symlink_to("nowhere"),
    }[kind]()


def test_files_of_others_among_the_checkpoints_stay(tmp_path):
    run = Run(tmp_path)
    run.checkpoints.mkdir()
    for name in ("step-000000003.ckpt", "lock", "best.keras"):
        (run.checkpoints / name).touch()
    run.remove_checkpoints()
    assert [x.name for x in run.checkpoints.iterdir()] == ["best.keras"]
    (run.checkpoints / "best.keras").unlink()
    run.remove_checkpoints()
    assert not run.checkpoints.exists()


@pytest.mark.parametrize("path", [None, 3, "", "a\0b", "x" * 300, "\ud800"])
def test_run_directory_must_be_a_path_that_can_be(path):
    with pytest.raises(InputError, match="`run_dir` must .*Received: "):
        Run.open(path, CONFIG)


def test_path_of_a_run_may_be_bytes(tmp_path):
    assert Run.open(os.fsencode(tmp_path), CONFIG).path == tmp_path
