"""Files in which others keep MNIST, and which are not read: what they are."""

from pathlib import Path

from keras_mnist_sum.data import picture_folders
from keras_mnist_sum.errors import InputError

FORMS = (
    "a folder of IDX files, of .npy or CSV files, or of pictures in folders "
    "0 to 9; or an .npz or CSV file"
)
_CONVERT = "docs/data.md says how to make an .npz of it"
_ALL_FOUR = "name the folder that holds all four"
# What they are, what to do, and how such files begin or end in their names.
_KINDS: tuple[tuple[str, str, tuple[bytes | str, ...]], ...] = (
    (
        "a pickle, which is a program",
        _CONVERT,
        (
            *(b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
            *(".pkl", ".pickle", ".pt", ".pth", ".joblib"),
        ),
    ),
    ("an HDF5 file", _CONVERT, (b"\x89HDF", ".h5", ".hdf5")),
    ("a Parquet file", _CONVERT, (b"PAR1", ".parquet")),
    ("an Arrow file", _CONVERT, (b"ARROW1", ".arrow", ".feather")),
    ("a MATLAB file", _CONVERT, (b"MATLAB", ".mat")),
    ("an ARFF file", _CONVERT, (".arff",)),
    (
        "a packed archive",
        "unpack it",
        (b"7z\xbc\xaf", b"Rar!", ".zip", ".tar", ".tgz", ".7z", ".rar"),
    ),
    (
        "one picture",
        "they lie in folders 0 to 9; name the folder of those",
        picture_folders.SUFFIXES,
    ),
    ("one IDX file", _ALL_FOUR, (b"\x00\x00\x08",)),
    ("one array", _ALL_FOUR, (b"\x93NUMPY",)),
)


def kind_suffix(path: Path) -> str:
    """The end of a file's name, in lower case, without `.gz`."""
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() if suffix == ".gz" else suffix


def check_kind(path: Path, head: bytes = b"") -> None:
    """Checks that a file is of no kind that is not read.

    Args:
        path: The file.
        head: How its content begins, unpacked, if that is known.

    Raises:
        InputError: If it is. The message says what to do.
    """
    for what, advice, signs in _KINDS:
        for sign in signs:
            if (
                head.startswith(sign)
                if isinstance(sign, bytes)
                else kind_suffix(path) == sign
            ):
                raise InputError(
                    f"MNIST is {FORMS}. Received: {str(path)!r}, {what}: "
                    f"{advice}"
                )
