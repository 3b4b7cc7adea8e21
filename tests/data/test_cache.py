"""Arrays are decoded once for the same files."""

import io
import os

import numpy as np
import pytest

from keras_mnist_sum.data import cache


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_text(file.name)
    return files


class Decode:
    """Counts its calls."""

    calls = 0

    def __call__(self):
        self.calls += 1
        return {"x": np.full((3, 4), self.calls), "y": np.arange(5)}


def test_decodes_only_once(files):
    decode = Decode()
    first, second = (cache.cached(files, decode) for _ in range(2))
    assert decode.calls == 1
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array)
        assert second[name].dtype == array.dtype


def test_decodes_again_when_a_file_changes(files):
    decode = Decode()
    cache.cached(files, decode)
    files[1].write_text("c")
    assert cache.cached(files, decode)["x"][0, 0] == 2
    files[1].write_text("b")
    assert cache.cached(files, decode)["x"][0, 0] == 1


@pytest.mark.parametrize("damage", ["byte", "end", "all"])
def test_decodes_again_when_the_cache_is_damaged(files, damage):
    decode = Decode()
    cache.cached(files, decode)
    [kept] = cache.folder().iterdir()
    content = bytearray(kept.read_bytes())
    if damage == "byte":
        content[content.index(b"NUMPY") + 130] ^= 1
    kept.write_bytes({"end": content[:-9], "all": b""}.get(damage, content))
    assert cache.cached(files, decode)["x"][0, 0] == 2
    assert cache.cached(files, decode)["x"][0, 0] == 2


def test_decodes_each_time_where_nothing_can_be_kept(files, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(files[0]))  # no folder
    decode = Decode()
    for _ in range(2):
        assert set(cache.cached(files, decode)) == {"x", "y"}
    assert decode.calls == 2


@pytest.mark.parametrize("wrong", ["array", "file", "seal", "pipe", "extra"])
def test_valid_but_wrong_cache_is_not_believed(files, wrong):
    """Arrays that were exchanged, or belong to other files."""
    decode = Decode()
    cache.cached(files, decode)
    [kept] = cache.folder().iterdir()
    seal, _, content = kept.read_bytes().partition(b"\n")
    arrays = dict(np.load(io.BytesIO(content)))
    if wrong == "array":
        save(kept, seal, arrays | {"x": arrays["x"] + 1})
    elif wrong == "extra":
        save(kept, seal, {"y": arrays["y"]})
    elif wrong == "seal":
        kept.write_bytes(content)
    elif wrong == "file":
        cache.cached(files[:1], Decode())
        [other] = set(cache.folder().iterdir()) - {kept}
        kept.write_bytes(other.read_bytes())
    else:
        kept.unlink()
        os.mkfifo(kept)
    assert cache.cached(files, decode)["x"][0, 0] == 2


def save(path, seal, arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    path.write_bytes(seal + b"\n" + file.getvalue())


def test_arrays_for_another_purpose_are_others(files):
    decode = Decode()
    assert cache.cached(files, decode, "one")["x"][0, 0] == 1
    assert cache.cached(files, decode, "other")["x"][0, 0] == 2
    assert cache.cached(files, decode, "one")["x"][0, 0] == 1


def test_files_that_change_meanwhile_are_refused_and_not_kept(files):
    def decode():
        files[0].write_text("changed")
        return {"x": np.zeros(1)}

    with pytest.raises(OSError, match="changed while it was read"):
        cache.cached(files, decode)
    assert not cache.folder().exists()


def test_only_the_newest_arrays_are_kept(files):
    for number in range(11):
        files[0].write_text(str(number))
        cache.cached(files, Decode())
    assert len(list(cache.folder().iterdir())) == 8
    decode = Decode()
    cache.cached(files, decode)
    assert decode.calls == 0


def look_up_ahead(files):
    cache.look_up_ahead(files, largest=100).exception()  # Waits for it.


def test_what_was_looked_up_ahead_is_not_read_again(files):
    decode = Decode()
    first = cache.cached(files, decode)
    look_up_ahead(files)
    for file in files:
        file.unlink()
    second = cache.cached(files, decode)
    np.testing.assert_array_equal(second["x"], first["x"])
    assert decode.calls == 1
    with pytest.raises(FileNotFoundError):  # It is taken once.
        cache.cached(files, decode)


def test_what_is_not_kept_is_decoded_after_a_look_ahead(files):
    decode = Decode()
    look_up_ahead(files)
    cache.cached(files, decode)
    cache.cached(files, decode)
    assert decode.calls == 1


def test_files_that_change_after_a_look_ahead_are_not_kept(files):
    look_up_ahead(files)
    files[0].write_text("other")
    with pytest.raises(OSError, match="changed while it was read"):
        cache.cached(files, Decode())
    assert not list(cache.folder().glob("*"))


def test_a_look_ahead_that_fails_says_so_when_asked(files):
    files[1].write_text("a" * 101)
    look_up_ahead(files)
    with pytest.raises(OSError, match="too large"):
        cache.cached(files, Decode())
    files[1].unlink()
    look_up_ahead(files)
    with pytest.raises(FileNotFoundError):
        cache.cached(files, Decode())


def test_a_look_ahead_is_not_for_another_purpose(files):
    decode = Decode()
    cache.cached(files, decode)
    look_up_ahead(files)
    cache.cached(files, decode, purpose="other")
    assert decode.calls == 2
