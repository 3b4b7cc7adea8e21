"""Files and folders are whole, or absent."""

import errno
import os
from pathlib import Path

import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import atomic_files


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


def test_folder_takes_the_place_of_another_or_leaves_it(tmp_path, monkeypatch):
    def write(content):
        with atomic_files.atomic_write(tmp_path / "folder") as aside:
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
