"""Files and folders are whole, or absent."""

import ctypes
import errno
import fcntl
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import atomic_files

ROOT = Path(__file__).parents[2]


def write_folder(path, content):
    with atomic_files.atomic_write(path) as aside:
        aside.mkdir()
        (aside / content).touch()


def names(folder):
    return sorted(str(x.relative_to(folder)) for x in folder.rglob("*"))


def test_file_appears_only_when_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic_files.atomic_write(path) as aside:
        aside.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert [child.name for child in path.parent.iterdir()] == ["file.txt"]


def test_failed_write_leaves_what_was_there_and_no_litter(tmp_path):
    path = tmp_path / "file.txt"
    atomic_files.write_text(path, "good")
    with (
        pytest.raises(ZeroDivisionError),
        atomic_files.atomic_write(path) as aside,
    ):
        aside.write_text("bad")
        raise ZeroDivisionError
    assert path.read_text() == "good"
    assert list(tmp_path.iterdir()) == [path]


def test_failed_folder_leaves_no_litter(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        atomic_files.atomic_write(tmp_path / "folder") as aside,
    ):
        aside.mkdir()
        (aside / "part").touch()
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_refused_write_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write. Received: '.*below"):
        atomic_files.write_text(tmp_path / "file" / "below", "text")


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


@pytest.fixture(params=["exchange", "two steps"])
def system(request, monkeypatch):
    """A system that exchanges two names in one step, and one that cannot."""
    if request.param == "two steps":
        monkeypatch.setattr(ctypes, "CDLL", lambda name: object())


def test_folder_takes_the_place_of_another(tmp_path, system):
    for content in ("old", "new"):
        write_folder(tmp_path / "folder", content)
    assert names(tmp_path) == ["folder", "folder/new"]


def test_folder_that_cannot_take_the_place_of_another_leaves_it(
    tmp_path, monkeypatch
):
    write_folder(tmp_path / "folder", "old")
    replace = os.replace

    def refuse(source, target):
        if os.path.exists(os.path.join(source, "new")):
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(InputError, match="Cannot write"):
        write_folder(tmp_path / "folder", "new")
    assert names(tmp_path) == ["folder", "folder/old"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux exchanges names")
def test_no_moment_is_without_the_folder(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    write_folder(folder, "old")
    there, replace = [], os.replace

    def look(source, target):
        replace(source, target)
        there.append(folder.exists())

    monkeypatch.setattr(os, "replace", look)
    write_folder(folder, "new")
    assert all(there) and names(folder) == ["new"]


def test_temporary_names_are_not_to_be_guessed(tmp_path):
    """Two containers may share a folder and a process ID, and somebody may
    have put a link there."""
    path = tmp_path / "file.txt"
    with (
        atomic_files.atomic_write(path) as one,
        atomic_files.atomic_write(path) as other,
    ):
        assert one.parent != other.parent
        assert one.suffix == path.suffix  # It may decide the format.
        for aside in (one, other):
            assert aside.parent.parent == tmp_path
            assert stat.S_IMODE(aside.parent.stat().st_mode) == 0o700
            assert not list(aside.parent.iterdir())
            assert str(os.getpid()) not in aside.name
            aside.write_text(str(aside))
    assert path.read_text() == str(one)
    assert names(tmp_path) == ["file.txt"]


_KILLED = """
import os, sys
from pathlib import Path
from keras_mnist_sum.utils import atomic_files
with atomic_files.atomic_write(Path(sys.argv[1])) as aside:
    aside.write_text("half")
    print(aside, flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    users = [".partial-notes", ".partial-1-config.json"]
    for name in users:
        (tmp_path / name).touch()
    writer = subprocess.Popen(
        [sys.executable, "-c", _KILLED, tmp_path / "file"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with writer:
        left = Path(writer.stdout.readline().strip())
        atomic_files.write_text(tmp_path / "other", "whole")
        assert left.read_text() == "half"  # Its writer lives.
        writer.communicate("\n")
    assert left.exists()
    atomic_files.write_text(tmp_path / "other", "whole")
    assert names(tmp_path) == sorted([*users, "other"])


def test_without_locks_what_is_left_is_removed_after_a_day(
    tmp_path, monkeypatch
):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    path = tmp_path / "file"
    with atomic_files.atomic_write(path) as aside:
        aside.write_text("slow")
        atomic_files.write_text(tmp_path / "other", "")
        assert aside.exists()
        day_ago = time.time() - 100_000
        os.utime(aside.parent, (day_ago, day_ago))
        atomic_files.write_text(tmp_path / "other", "")
        assert not aside.exists()
        aside.parent.mkdir()
        aside.write_text("")


def test_file_has_the_usual_permissions_and_keeps_those_it_has(tmp_path):
    path = tmp_path / "file"
    (tmp_path / "usual").touch()
    atomic_files.write_text(path, "")
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode
    path.chmod(0o640)
    atomic_files.write_text(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_folder_that_the_system_refuses_is_noticed_beforehand(tmp_path):
    """Though its permissions allow to write there."""
    for path in (Path("/proc/file"), Path("/proc/self/new/file")):
        with pytest.raises(InputError, match="can be written.*Received"):
            atomic_files.check_file(path)
    (tmp_path / "astray").symlink_to("nowhere")
    with pytest.raises(InputError, match="can be written.*Received"):
        atomic_files.check_file(tmp_path / "astray" / "file")
    with pytest.raises(InputError, match="File name too long"):
        atomic_files.check_file(tmp_path / ("x" * 300))


@pytest.mark.parametrize(
    "kind, why",
    [
        ("pipe", "no plain file"),
        ("folder", "no plain file"),
        ("device", "no plain file"),
        ("loop", "Too many levels"),
        ("missing", "No such file"),
        ("bytes", "utf-8"),
        ("large", "too large"),
    ],
)
def test_text_that_cannot_be_read_is_one_clear_line(tmp_path, kind, why):
    path = tmp_path / "file"
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "device": lambda: path.symlink_to("/dev/zero"),
        "loop": lambda: path.symlink_to(path),
        "missing": lambda: None,
        "bytes": lambda: path.write_bytes(b"\xff"),
        "large": lambda: (path.touch(), os.truncate(path, 2**30)),
    }[kind]()
    with pytest.raises(InputError, match=f"Cannot read.*Received.*{why}"):
        atomic_files.read_text(path)
