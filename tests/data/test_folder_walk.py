"""Folders are walked as users expect, links and all, and never for ever."""

import pytest

from keras_mnist_sum.data import folder_walk
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from tests.data.mnist_forms import FORMS


@pytest.mark.parametrize("form", ["idx", "npy", "csv, packed", "png"])
@pytest.mark.parametrize("linked", ["all", "folders", "files"])
def test_links_are_followed(tmp_path, sets, form, linked):
    (tmp_path / "real").mkdir()
    real, path = FORMS[form](tmp_path / "real", sets), tmp_path / "links"
    if linked == "all":
        path.symlink_to(real)
    else:
        path.mkdir()
    for file in real.rglob("*") if linked == "files" else ():
        if file.is_file():
            link = path / file.relative_to(real)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    for entry in real.iterdir() if linked == "folders" else ():
        (path / entry.name).symlink_to(entry)
    found, expected = load_mnist(path), load_mnist(real)
    assert (found.train_images == expected.train_images).all()
    assert (found.test_labels == expected.test_labels).all()


def test_links_of_digits_are_followed(tmp_path, sets):
    real = FORMS["png"](tmp_path / "real", sets)
    for folder in real.glob("*/*"):
        link = tmp_path / "links" / folder.relative_to(real)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder)
    found, expected = load_mnist(tmp_path / "links"), load_mnist(real)
    assert (found.train_images == expected.train_images).all()


def test_two_links_to_one_folder_are_two(tmp_path, sets):
    real = FORMS["png"](tmp_path / "real", sets) / "train"
    (tmp_path / "both").mkdir()
    for part in ("train", "test"):
        (tmp_path / "both" / part).symlink_to(real)
    mnist = load_mnist(tmp_path / "both")
    assert (mnist.train_images == mnist.test_images).all()


def test_links_that_lead_back_are_not_followed(tmp_path, sets):
    folder = FORMS["png"](tmp_path / "set", sets)
    expected = folder_walk.files_in(folder)
    for where in (folder, folder / "train", folder / "train" / "3"):
        where.mkdir(exist_ok=True)
        for name in ("a", "b"):
            (where / name).symlink_to(folder)
    (folder / "itself").symlink_to("itself")
    found = folder_walk.files_in(folder)
    assert [x for x in found if x.name != "itself"] == expected


@pytest.mark.parametrize("what", ["_MOST_FILES", "_MOST_FOLDERS"])
def test_too_many_entries_are_one_line_and_not_walked(
    tmp_path, monkeypatch, what
):
    """As of `/`, or of a home folder."""
    monkeypatch.setattr(folder_walk, what, 20)
    for i in range(30):
        path = tmp_path / f"{i % 3}" / f"{i}"
        path.parent.mkdir(exist_ok=True)
        path.touch() if what == "_MOST_FILES" else path.mkdir()
    with pytest.raises(InputError, match="at most .* Received: .* with more"):
        load_mnist(tmp_path)


def test_hidden_and_deep_folders_are_left_out(tmp_path):
    for name in ("a/b", ".a/b", "__MACOSX/b", "a/.b", "1/2/3/4/5/6/7/b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(map(str, folder_walk.files_in(tmp_path))) == ["a/b"]
