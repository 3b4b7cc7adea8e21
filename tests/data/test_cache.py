"""Arrays are decoded once for the same files."""

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
