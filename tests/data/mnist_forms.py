"""Writers of a small MNIST, in every form in which people have it."""

import gzip

import numpy as np
from PIL import Image

from tests.data.test_sources import idx

TRAIN, TEST = 14, 6  # examples


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
