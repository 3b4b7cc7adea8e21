"""The same data, in whatever form, gives the same arrays, bit for bit."""

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
from tests.data.test_sources import idx

TRAIN, TEST = 14, 6


@pytest.fixture
def sets():
    """`(train_images, train_labels), (test_images, test_labels)`."""
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (TRAIN + TEST, 28, 28), "uint8")
    images[:, :, :4] = images[:, :, -4:] = 0  # as MNIST has it
    labels = rng.integers(0, 10, TRAIN + TEST).astype("uint8")
    return (images[:TRAIN], labels[:TRAIN]), (images[TRAIN:], labels[TRAIN:])


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def idx_files(*names, pack=lambda name, x: x):
    """Writes four arrays under these names."""

    def writer(folder, sets):
        arrays = [array for one in sets for array in one]
        for name, array in zip(names, arrays, strict=True):
            write(folder / name, pack(name, idx(array)))
        return folder

    return writer


def gz_by_name(name, content):
    return gzip.compress(content) if name.lower().endswith(".gz") else content


def idx_with_all_twice(folder, sets):
    """As torchvision leaves it."""
    raw = folder / "MNIST" / "raw"
    names = [
        f"{part}-{kind}-ubyte"
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    ]
    idx_files(*names)(raw, sets)
    idx_files(*(f"{x}.gz" for x in names), pack=gz_by_name)(raw, sets)
    return folder


def kaggle_idx(folder, sets):
    idx_files(
        *(
            f"{part}-{kind}-ubyte/{part}-{kind}-ubyte"
            for part in ("train", "t10k")
            for kind in ("images-idx3", "labels-idx1")
        )
    )(folder, sets)
    return idx_files(
        *(
            f"{part}-{kind}-ubyte"
            for part in ("train", "t10k")
            for kind in ("images.idx3", "labels.idx1")
        )
    )(folder, sets)


KERAS = ("x_train", "y_train", "x_test", "y_test")


def npz(names=KERAS, images=lambda x: x, labels=lambda y: y):
    def writer(folder, sets):
        arrays = [f(a) for one in sets for f, a in zip((images, labels), one)]
        path = folder / "data.npz"
        np.savez_compressed(path, **dict(zip(names, arrays)))
        return path

    return writer


def npy(folder, sets):
    arrays = [array for one in sets for array in one]
    for name, array in zip(("X_train", "yTrain", "testX", "y-test"), arrays):
        np.save(folder / f"{name}.npy", array)
    return folder


def csv(
    names=("mnist_train.csv", "mnist_test.csv"),
    header=None,
    last=False,
    text="%d",
    scale=1,
    index=False,
    separator=",",
    end="\n",
    pack=lambda name, x: x,
):
    """Writes two tables, the label first or last."""

    def writer(folder, sets):
        for name, (images, labels) in zip(names, sets):
            rows = []
            if header:
                cells = [header.format(i) for i in range(784)]
                cells.insert(784 if last else 0, "label")
                rows.append(separator.join([""] * index + cells))
            for i, (image, label) in enumerate(zip(images, labels)):
                cells = [text % (x / scale) for x in image.ravel()]
                cells.insert(784 if last else 0, str(label))
                rows.append(separator.join([str(i)] * index + cells))
            content = (end.join(rows) + end).encode()
            write(folder / name, pack(name, content))
        return folder

    return writer


def pictures(parts=("train", "test"), suffix="png", mode="L", name="{}"):
    def writer(folder, sets):
        for part, (images, labels) in zip(parts, sets):
            for i, (image, label) in enumerate(zip(images, labels)):
                path = folder / part / str(label)
                path.mkdir(parents=True, exist_ok=True)
                picture = Image.fromarray(image).convert(mode)
                picture.save(path / f"{name.format(i)}.{suffix}")
        return folder

    return writer


def one_hot(labels):
    return np.eye(10)[labels]


FORMS = {
    "idx": idx_files(
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ),
    "idx, other names": idx_files(
        "TRAIN-IMAGES.IDX3-UBYTE",
        "train_labels_idx1_ubyte (1)",
        "t10k-images.idx3-ubyte(2).gz",
        "test-labels.idx",
        pack=gz_by_name,
    ),
    "idx, without idx in their names": idx_files(
        "train/images.bin",
        "train/labels.bin.gz",
        "test/images",
        "test/labels.dat",
        pack=gz_by_name,
    ),
    "idx, named .gz and unpacked": idx_files(
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ),
    "idx, packed and not named so": idx_files(
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
        pack=lambda name, x: gzip.compress(x),
    ),
    "idx, as Kaggle has it": kaggle_idx,
    "idx, as torchvision has it": idx_with_all_twice,
    "npz": npz(),
    "npz, other names": npz(
        ("train_images", "train_labels", "test_images", "test_labels")
    ),
    "npz, more names": npz(("XTrain", "trainY", "X_test", "labels_test")),
    "npz, parts": npz(("images", "labels", "test_images", "test_labels")),
    "npz, float 0-1": npz(images=lambda x: (x / 255).astype("float32")),
    "npz, half 0-1": npz(images=lambda x: (x / 255).astype("float16")),
    "npz, double 0-1": npz(images=lambda x: x / 255),
    "npz, float 0-255": npz(images=lambda x: x.astype("float32")),
    "npz, integers": npz(
        images=lambda x: x.astype("int64"), labels=lambda y: y.astype("int32")
    ),
    "npz, big-endian": npz(
        images=lambda x: x.astype(">i2"), labels=lambda y: y.astype(">f4")
    ),
    "npz, a channel": npz(images=lambda x: x[..., np.newaxis]),
    "npz, a channel first": npz(images=lambda x: x[:, np.newaxis]),
    "npz, three channels": npz(images=lambda x: np.stack([x] * 3, -1)),
    "npz, rows of 784": npz(images=lambda x: x.reshape(-1, 784)),
    "npz, columns first": npz(images=np.asfortranarray),
    "npz, one-hot": npz(labels=one_hot),
    "npz, one-hot booleans": npz(labels=lambda y: one_hot(y).astype(bool)),
    "npz, a column of labels": npz(labels=lambda y: y[:, np.newaxis]),
    "npz, labels as text": npz(labels=lambda y: y.astype("U")),
    "npy": npy,
    "csv": csv(),
    "csv, named columns": csv(header="pixel{}"),
    "csv, numbered columns": csv(header="{}"),
    "csv, label last": csv(last=True, header="pixel{}"),
    "csv, label last, no names": csv(last=True),
    "csv, with an index": csv(header="p{}", index=True),
    "csv, float 0-1": csv(text="%.8g", scale=255),
    "csv, float 0-255": csv(text="%.1f"),
    "csv, semicolons, of Windows": csv(header="p{}", separator=";", end="\r\n"),
    "csv, packed": csv(("a/train.csv.gz", "a/test.csv.gz"), pack=gz_by_name),
    "png": pictures(),
    "png, other names": pictures(("training", "testing"), name="img_{}"),
    "png, deeper": pictures(("x/trainingSet/trainingSet", "x/test/set")),
    "png, colour": pictures(mode="RGB"),
    "bmp": pictures(suffix="bmp"),
}


@pytest.mark.parametrize("form", FORMS)
def test_same_data_in_any_form_gives_the_same_arrays(tmp_path, sets, form):
    path = FORMS[form](tmp_path, sets)
    mnist = load_mnist(str(path))
    (train_images, train_labels), (test_images, test_labels) = sets
    for found, expected in (
        (mnist.train_images, train_images),
        (mnist.train_labels, train_labels),
        (mnist.test_images, test_images),
        (mnist.test_labels, test_labels),
    ):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.uint8 and found.flags.c_contiguous
    assert mnist.source == str(path) and not mnist.warning
    again = load_mnist(path, test_only=True)
    np.testing.assert_array_equal(again.test_images, test_images)


ONE_SET = {
    "npz": npz(("images", "labels")),
    "csv": csv(("train.csv",), header="pixel{}"),
    "idx": idx_files("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "png": pictures(("",)),
}


@pytest.mark.parametrize("form", ONE_SET)
def test_every_seventh_image_of_a_single_set_is_kept_to_test_on(
    tmp_path, sets, form
):
    if form == "idx":
        sets = sets[:1]
    path = ONE_SET[form](tmp_path, sets)
    images, labels = sets[0]
    mnist = load_mnist(path)
    np.testing.assert_array_equal(mnist.test_images, images[::7])
    np.testing.assert_array_equal(mnist.test_labels, labels[::7])
    kept = np.arange(TRAIN) % 7 > 0
    np.testing.assert_array_equal(mnist.train_images, images[kept])
    np.testing.assert_array_equal(mnist.train_labels, labels[kept])
    assert "no test set: every seventh of its 14 images" in mnist.warning
    again = load_mnist(path, test_only=True)
    np.testing.assert_array_equal(again.test_images, images[::7])


def test_last_10_000_of_all_70_000_images_are_the_test_set(tmp_path):
    """As OpenML has them in one file."""
    labels = np.zeros(70_000, "uint8")
    labels[60_000:] = 1
    images = np.zeros((70_000, 28, 28), "uint8")
    np.savez_compressed(tmp_path / "mnist.npz", images=images, labels=labels)
    mnist = load_mnist(tmp_path / "mnist.npz")
    assert len(mnist.train_labels) == 60_000 and not mnist.train_labels.any()
    assert len(mnist.test_labels) == 10_000 and mnist.test_labels.all()


def test_test_set_alone_can_be_scored_and_not_trained_on(tmp_path, sets):
    csv(("mnist_test.csv",))(tmp_path, sets[1:])
    path = tmp_path / "mnist_test.csv"
    mnist = load_mnist(path, test_only=True)
    np.testing.assert_array_equal(mnist.test_images, sets[1][0])
    with pytest.raises(InputError, match="There must be a training set, too"):
        load_mnist(path)


def test_hidden_and_unrelated_files_are_left_alone(tmp_path, sets):
    folder = FORMS["idx"](tmp_path, sets)
    write(folder / "__MACOSX" / "._train-images-idx3-ubyte", b"junk")
    write(folder / "._train-images-idx3-ubyte", b"junk")
    write(folder / ".git" / "train-images-idx3-ubyte", b"junk")
    write(folder / "train-images-idx3-ubyte.sha256", b"0123")
    write(folder / "features.npz", b"junk")
    write(folder / "README.md", b"MNIST")
    np.testing.assert_array_equal(load_mnist(folder).train_images, sets[0][0])


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
        with pytest.raises(InputError, match="more than 10 rows|columns"):
            load_mnist(tmp_path / f"{name}.csv")


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


@pytest.mark.parametrize(
    "names",
    [
        [f"pixel{i}" for i in range(784)],
        [f"{row}x{column}" for row in range(1, 29) for column in range(1, 29)],
    ],
    ids=["numbers", "rows and columns"],
)
def test_columns_that_are_sorted_as_text_are_put_in_order(
    tmp_path, sets, names
):
    """As pandas and SQL leave them: pixel10 before pixel2."""
    images, labels = sets[0]
    order = sorted(range(784), key=names.__getitem__)
    table = np.column_stack([labels, images.reshape(-1, 784)[:, order]])
    np.savetxt(
        tmp_path / "train.csv",
        table,
        "%d",
        ",",
        header=",".join(["label", *(names[i] for i in order)]),
        comments="",
    )
    mnist = load_mnist(tmp_path / "train.csv")
    found = {x.tobytes() for x in (*mnist.train_images, *mnist.test_images)}
    assert found == {x.tobytes() for x in images}
