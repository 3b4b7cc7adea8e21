import os

import pytest

from keras_mnist_sum import runs
from keras_mnist_sum.errors import InputError


def test_file_appears_only_when_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with runs.written_aside(path) as aside:
        aside.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert [child.name for child in path.parent.iterdir()] == ["file.txt"]


def test_failed_write_leaves_what_was_there_and_no_litter(tmp_path):
    path = tmp_path / "file.txt"
    runs.write_text(path, "good")
    with pytest.raises(ZeroDivisionError):
        with runs.written_aside(path) as aside:
            aside.write_text("bad")
            1 / 0
    assert path.read_text() == "good"
    assert list(tmp_path.iterdir()) == [path]


def test_failed_folder_leaves_no_litter(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with runs.written_aside(tmp_path / "folder") as aside:
            aside.mkdir()
            (aside / "part").touch()
            1 / 0
    assert not list(tmp_path.iterdir())


def test_refused_write_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write. Received: '.*below"):
        runs.write_text(tmp_path / "file" / "below", "text")


def test_run_directory_must_be_new_or_empty_or_a_run(tmp_path):
    runs.check_usable(tmp_path / "a" / "b")
    runs.check_usable(tmp_path)
    # What is there when a run is killed before it has begun.
    (tmp_path / runs.CHECKPOINTS).mkdir()
    (tmp_path / ".partial-1-config.json").touch()
    runs.check_usable(tmp_path)
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="`run_dir` must be.*Received"):
            runs.check_usable(path)
    (tmp_path / runs.CONFIG).touch()
    runs.check_usable(tmp_path)


def test_newest_run_is_the_one_whose_model_was_written_last(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert runs.newest_run() is None
    for name, time in (("a", 200), ("b", 300), ("c", 100)):
        runs.write_text(runs.ROOT / name / runs.MODEL, "")
        os.utime(runs.ROOT / name / runs.MODEL, (time, time))
    (runs.ROOT / "unfinished").mkdir()
    assert runs.newest_run() == runs.ROOT / "b"


def test_default_run_directory_bears_the_preset_and_the_time():
    path = runs.new_run_dir("residual")
    assert path.parent == runs.ROOT
    assert path.name.startswith("residual-20")


def test_file_to_write_is_checked_beforehand(tmp_path):
    runs.check_file(tmp_path / "new" / "file.json")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="Received"):
            runs.check_file(path)
