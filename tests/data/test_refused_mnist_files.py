"""What is no MNIST, or cannot be told apart, is refused in a line."""

import gzip
import os
import pickle
import socket
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from keras_mnist_sum.data import array_files
from keras_mnist_sum.data import csv_files
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from tests.data.mnist_forms import FORMS
from tests.data.mnist_forms import csv
from tests.data.mnist_forms import npz
from tests.data.mnist_forms import pictures
from tests.data.mnist_forms import write
from tests.data.test_sources import idx
from tests.hostile import png


def two_idx_sets(folder, sets):
    FORMS["idx"](folder / "MNIST" / "raw", sets)
    others = [(255 - images, labels) for images, labels in sets]
    return FORMS["idx"](folder / "FashionMNIST" / "raw", others).parents[1]


def kaggle_csv(folder, sets):
    csv(("train.csv",), header="pixel{}")(folder, sets[:1])
    rows = [",".join(f"pixel{i}" for i in range(784))]
    rows += [",".join(map(str, image.ravel())) for image in sets[1][0]]
    write(folder / "test.csv", "\n".join(rows).encode())
    return folder


def of(name, content):
    def writer(folder, sets):
        write(folder / name, content)
        return folder / name

    return writer


def large_picture(folder, sets):
    pictures()(folder, sets)
    (folder / "other" / "3").mkdir(parents=True)
    Image.new("L", (29, 28)).save(folder / "other" / "3" / "99.png")
    return folder / "other"


def huge_picture(folder, sets):
    pictures()(folder, sets)
    write(folder / "test" / "3" / "99.png", png(20_000, 20_000, 0))
    return folder


def large_file_of_a_picture(folder, sets):
    path = pictures()(folder, sets) / "test" / "3" / "99.png"
    write(path, png(28, 28, 0))
    os.truncate(path, 2**30)
    return folder


class Program:
    """Leaves a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def pickled(name, pack=lambda x: x):
    def writer(folder, sets):
        content = pack(pickle.dumps(Program(folder / "was_run")))
        return of(name, content)(folder, sets)

    return writer


REFUSED = {
    "two sets": (two_idx_sets, "and 'MNIST/raw/t10k-.*which differ"),
    "arrays without names": (
        npz([f"arr_{i}" for i in range(4)]),
        "names must tell .*'arr_0' and 'arr_2'",
    ),
    "test images without labels": (
        kaggle_csv,
        "test.csv' .it has no labels, so that nothing can be scored",
    ),
    "test images without labels, npz": (
        npz(("x_train", "y_train", "x_test", "other")),
        "no test labels|50 images",
    ),
    "no labels": (npz(("x_train",)), "but no train labels"),
    "pickle": (pickled("mnist.pkl"), "a pickle, which is a program"),
    "packed pickle": (
        pickled("mnist.pkl.gz", gzip.compress),
        "a pickle, which is a program",
    ),
    "pickle of another name": (pickled("mnist"), "a pickle"),
    "torch": (of("training.pt", b"PK\3\4"), "a pickle"),
    "hdf5": (of("mnist.h5", b"\x89HDF\r\n\x1a\n"), "an HDF5 file: docs/data"),
    "parquet": (of("train-00000.parquet", b"PAR1"), "a Parquet file: docs/"),
    "matlab": (of("emnist.mat", b"MATLAB 5.0"), "a MATLAB file: docs/data.md"),
    "zip": (of("archive.zip", b"PK\3\4"), "a packed archive: unpack it"),
    "tar": (of("mnist.tar.gz", gzip.compress(b"x")), "archive: unpack it"),
    "one idx file": (
        of("train-images-idx3-ubyte", b"\0\0\x08\3\0\0\0\0"),
        "one IDX file: name the folder",
    ),
    "one array": (of("x_train.npy", b"\x93NUMPY\1\0"), "one array: name the"),
    "one picture": (of("7.png", b"\x89PNG"), "one picture: they lie in"),
    "text": (of("notes.txt", b"hello\n"), "another kind of file"),
    "nothing": (of("empty", b""), "another kind of file"),
    "narrow table": (of("a.csv", b"label,x\n1,2\n"), "it has 2 columns"),
    "uneven table": (
        of("a.csv", b"0," * 784 + b"0\n" + b"0," * 783 + b"0\n"),
        "number of columns changed",
    ),
    "words in a table": (
        of("a.csv", b"0," * 784 + b"0\n" + b"0," * 784 + b"x\n"),
        "could not convert string",
    ),
    "damaged .gz": (of("a.csv.gz", gzip.compress(b"0,")[:-3]), "Received: "),
    "large picture": (large_picture, "29 x 28 pixels"),
    "huge picture": (huge_picture, "99.png' .it has more than 67,108,864"),
    "large file of a picture": (
        large_file_of_a_picture,
        "99.png' .File too large",
    ),
    "long text": (
        npz(labels=lambda y: y.astype("U300")),
        "it has elements of 1,200 bytes",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_told_or_read_is_one_clear_line(tmp_path, sets, case):
    writer, message = REFUSED[case]
    path = writer(tmp_path, sets)
    with pytest.raises(InputError, match=message) as error:
        load_mnist(path)
    assert "\n" not in str(error.value) and "Received: " in str(error.value)
    assert not (tmp_path / "was_run").exists()


def test_folder_of_files_of_another_kind_says_what_they_are(tmp_path):
    write(tmp_path / "mnist" / "train-00000-of-00001.parquet", b"PAR1")
    with pytest.raises(InputError, match="a Parquet file: docs/data.md"):
        load_mnist(tmp_path)


@pytest.mark.parametrize("name", ["x.npy", "mnist.npz", "a.csv", "0/1.png"])
def test_pipe_device_or_socket_is_refused_and_not_read(tmp_path, sets, name):
    """None of them might ever end."""
    FORMS["idx"](tmp_path / "idx", sets)
    places = [tmp_path / name, tmp_path / "idx" / "train-images-idx3-ubyte"]
    for path in places:
        path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        os.mkfifo(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "socket"))
        (tmp_path / "link").symlink_to("/dev/zero")
        places += [tmp_path / "idx", tmp_path / "socket", tmp_path / "link"]
        if "/" in name:
            places += [tmp_path]
        for path in [*places, "/dev/zero", "/dev/stdin"]:
            with pytest.raises(InputError, match="Received: "):
                load_mnist(path)


def test_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    content = idx(np.zeros((3, 28, 28), "uint8"))
    path = tmp_path / "train-images-idx3-ubyte"
    write(path, content)
    read = array_files._read_idx

    def change(*arguments):
        array = read(*arguments)
        write(path, content[:-1] + b"\1")
        os.utime(path, ns=(1, 1))
        return array

    monkeypatch.setattr(array_files, "_read_idx", change)
    with pytest.raises(InputError, match="it changed while it was read"):
        array_files.read_idx(path, 3, 2**20)


EMPTY = "'|u1', 'shape': (0,)"


def header_of_an_array(claim):
    text = f"{{'descr': {claim}, 'fortran_order': False}}".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "name, content",
    [
        ("x_train", header_of_an_array("'|u1', 'shape': (1000000000000,)")),
        ("x_train", header_of_an_array("'<f8', 'shape': (-1, -8)")),
        ("x_train", header_of_an_array("'|O', 'shape': (8,)")),
        ("x_train", header_of_an_array("'<U0', 'shape': (1000000000000,)")),
        ("x_train", b"\x93NUMPY\3\0" + bytes(64)),
        ("x_train", b"\x93NUMPY\1\0\4\0{'(\n"),
    ],
)
def test_array_that_claims_too_much_is_refused(tmp_path, name, content):
    with zipfile.ZipFile(
        tmp_path / "mnist.npz", "w", zipfile.ZIP_DEFLATED
    ) as archive:
        archive.writestr(f"{name}.npy", content)
        archive.writestr("y_train.npy", header_of_an_array(EMPTY))
    write(tmp_path / "npy" / f"{name}.npy", content)
    write(tmp_path / "npy" / "y_train.npy", header_of_an_array(EMPTY))
    for path in (tmp_path / "mnist.npz", tmp_path / "npy"):
        with pytest.raises(InputError, match="Not a whole") as error:
            load_mnist(path)
        assert "\n" not in str(error.value)


def test_long_header_of_an_array_is_not_read(tmp_path):
    size = 2**25
    content = b"\x93NUMPY\2\0" + size.to_bytes(4, "little") + bytes(size)
    path = tmp_path / "mnist.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", content)
    del content
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="Not a whole"):
            load_mnist(path)
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


def test_table_without_an_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "MOST_EXAMPLES", 10)
    write(tmp_path / "a.csv", b"\n" * 10**5)
    write(tmp_path / "b.csv", b"0," * 10**5)
    write(tmp_path / "c.csv", (b"0," * 784 + b"0\n") * 12)
    for name in "abc":
        with pytest.raises(InputError, match="more than 10 rows|too long"):
            load_mnist(tmp_path / f"{name}.csv")


def test_table_of_one_long_line_is_not_read_to_its_end(tmp_path, monkeypatch):
    """Not even to know it again."""
    monkeypatch.setattr("keras_mnist_sum.data.cache._digest", None)
    row = b"0," * 784 + b"0\n"
    for name, start in (("a", b""), ("b", b"0,"), ("c", row), ("d", row + row)):
        path = tmp_path / f"{name}.csv"
        write(path, start)
        if name == "d":
            write(path, row + b"0," * 10**5)
        else:
            os.truncate(path, 2**30)
        with pytest.raises(InputError, match="line [12] is too long"):
            load_mnist(path)


@pytest.mark.parametrize("name", ["x_train.npy", "mnist.npz"])
def test_more_examples_than_a_set_may_have_are_not_read(
    tmp_path, name, monkeypatch
):
    monkeypatch.setattr("keras_mnist_sum.data.mnist_files.MOST_EXAMPLES", 9)
    monkeypatch.setattr("numpy.lib.format.read_array", None)
    images, labels = np.zeros((10, 28, 28), "uint8"), np.zeros(10, "uint8")
    np.save(tmp_path / "x_train.npy", images)
    np.save(tmp_path / "y_train.npy", labels)
    np.savez(tmp_path / "mnist.npz", x_train=images, y_train=labels)
    path = tmp_path if name.endswith("npy") else tmp_path / name
    if name.endswith("npy"):
        (tmp_path / "mnist.npz").unlink()
    with pytest.raises(InputError, match="it has more than 9 examples"):
        load_mnist(path)


@pytest.mark.parametrize("form", ["idx", "npz", "npy", "csv", "png", "bmp"])
def test_any_changed_file_is_read_or_refused(tmp_path, sets, form):
    """As `test_hostile_files.py` has it, for a whole set."""
    path = FORMS[form](tmp_path, sets)
    files = sorted(x for x in tmp_path.rglob("*") if x.is_file())
    rng = np.random.default_rng(3)
    for _ in range(25):
        file = files[rng.integers(len(files))]
        before = file.read_bytes()
        content = bytearray(before)
        end = min(len(content), int(rng.choice([64, 512, 10**6])))
        for place in rng.integers(0, end, rng.integers(1, 6)):
            content[place] = rng.choice([0, 1, 44, 127, 255])
        if rng.random() < 0.3:
            del content[rng.integers(len(content)) :]
        file.write_bytes(content)
        try:
            load_mnist(path)
        except InputError as error:
            assert "\n" not in str(error) and "Received: " in str(error)
        file.write_bytes(before)
