"""An archive of others is opened within limits."""

import io
import struct
import zipfile

import pytest

from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.utils.zip_archives import open_zip


def many_entries(count):
    """An archive of nothing but a directory, of as many empty files."""
    name = b"x.npy"
    sizes = 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0
    entry = struct.pack("<4s4B4H3I5H2I", b"PK\1\2", 20, 0, 20, *[0] * 5, *sizes)
    directory = (entry + name) * count
    counts = (min(count, 0xFFFF),) * 2
    return directory + struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, *counts, len(directory), 0, 0
    )


def test_directory_of_many_entries_is_not_read():
    """`zipfile` would make an object of each."""
    assert len(open_zip(io.BytesIO(many_entries(9))).infolist()) == 9
    with pytest.raises(ValueError, match="it holds too many files"):
        open_zip(io.BytesIO(many_entries(30_000)))


@pytest.mark.parametrize("name", ["model.keras", "mnist.npz"])
def test_file_of_many_entries_is_refused_in_a_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(many_entries(30_000))
    with pytest.raises(InputError, match="Received: .*too many files"):
        open_model(path) if name == "model.keras" else load_mnist(path)


def test_what_is_no_archive_is_told(tmp_path):
    with pytest.raises(zipfile.BadZipFile):
        open_zip(io.BytesIO(b"anything"))
