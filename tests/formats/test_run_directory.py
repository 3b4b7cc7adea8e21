import errno
import os
from pathlib import Path

import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.utils import atomic_files


def test_file_appears_only_when_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic_files.written_aside(path) as aside:
        aside.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert [child.name for child in path.parent.iterdir()] == ["file.txt"]


def test_failed_write_leaves_what_was_there_and_no_litter(tmp_path):
    path = tmp_path / "file.txt"
    atomic_files.write_text(path, "good")
    with pytest.raises(ZeroDivisionError):
        with atomic_files.written_aside(path) as aside:
            aside.write_text("bad")
            1 / 0
    assert path.read_text() == "good"
    assert list(tmp_path.iterdir()) == [path]


def test_failed_folder_leaves_no_litter(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with atomic_files.written_aside(tmp_path / "folder") as aside:
            aside.mkdir()
            (aside / "part").touch()
            1 / 0
    assert not list(tmp_path.iterdir())


def test_refused_write_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write. Received: '.*below"):
        atomic_files.write_text(tmp_path / "file" / "below", "text")


def test_run_directory_must_be_new_or_empty_or_a_run(tmp_path):
    run_directory.check_usable(tmp_path / "a" / "b")
    run_directory.check_usable(tmp_path)
    # What is there when a run is killed before it has begun.
    (tmp_path / run_directory.CHECKPOINTS).mkdir()
    (tmp_path / run_directory.CHECKPOINTS / "lock").touch()
    (tmp_path / ".partial-1-config.json").touch()
    run_directory.check_usable(tmp_path)
    # A run deletes its checkpoints when it ends: they must be its own.
    (tmp_path / run_directory.CHECKPOINTS / "best.pt").touch()
    with pytest.raises(InputError, match="which holds checkpoints/best.pt"):
        run_directory.check_usable(tmp_path)
    (tmp_path / run_directory.CHECKPOINTS / "best.pt").unlink()
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="`run_dir` must be.*Received"):
            run_directory.check_usable(path)
    (tmp_path / run_directory.CONFIG).touch()
    run_directory.check_usable(tmp_path)


def test_newest_run_is_the_one_whose_model_was_written_last(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run_directory.newest_run() is None
    for name, time in (("a", 200), ("b", 300), ("c", 100)):
        atomic_files.write_text(
            run_directory.ROOT / name / run_directory.MODEL, ""
        )
        os.utime(run_directory.ROOT / name / run_directory.MODEL, (time, time))
    (run_directory.ROOT / "unfinished").mkdir()
    assert run_directory.newest_run() == run_directory.ROOT / "b"


def test_new_run_directory_bears_the_preset_and_the_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = run_directory.new_run_dir("residual")
    assert path.parent == run_directory.ROOT and path.is_dir()
    assert path.name.startswith("residual-20")


def test_runs_that_begin_in_one_second_have_directories_of_their_own(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_directory.time, "strftime", lambda form: "now")
    names = [run_directory.new_run_dir("fast").name for _ in range(3)]
    assert names == ["fast-now", "fast-now-2", "fast-now-3"]


def test_folder_of_runs_that_leads_nowhere_is_one_clear_line(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run_directory.ROOT.symlink_to("not/mounted")
    with pytest.raises(InputError, match="Cannot write. Received: 'runs/fast"):
        run_directory.new_run_dir("fast")


def test_file_system_without_locks_is_one_line_of_warning(
    tmp_path, monkeypatch
):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_directory.fcntl, "flock", flock)
    said = []
    with run_directory.locked(tmp_path, said.append):
        pass
    [warning] = said
    assert "No locks available" in warning and str(tmp_path) in warning


def test_file_to_write_is_checked_beforehand(tmp_path):
    atomic_files.check_file(tmp_path / "new" / "file.json")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "astray").symlink_to("nowhere")
    paths = [tmp_path / name for name in ("", "file/below", "link", "astray")]
    for path in (*paths, Path("/dev/null")):
        with pytest.raises(InputError, match="Received"):
            atomic_files.check_file(path)


def test_folder_takes_the_place_of_another_or_leaves_it(tmp_path, monkeypatch):
    def write(content):
        with atomic_files.written_aside(tmp_path / "folder") as aside:
            aside.mkdir()
            (aside / content).touch()

    write("old")
    replace = os.replace

    def refuse(source, target):
        if os.path.exists(os.path.join(source, "new")):
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(InputError, match="Cannot write"):
            write("new")
    assert [str(x.relative_to(tmp_path)) for x in tmp_path.rglob("*")] == [
        "folder",
        "folder/old",
    ]
    write("new")
    assert [str(x.relative_to(tmp_path)) for x in tmp_path.rglob("*")] == [
        "folder",
        "folder/new",
    ]
