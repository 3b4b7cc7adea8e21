"""MNIST in files as people have it: found, told apart and read.

Four arrays are looked for: images and labels, to train and to test on. Which
one an array is follows from its name, that of its file and of the folders
around it, else from its shape.
"""

import contextlib
import functools
import re
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_mnist_sum.data import array_files
from keras_mnist_sum.data import csv_files
from keras_mnist_sum.data import examples
from keras_mnist_sum.data import picture_folders
from keras_mnist_sum.data.examples import ARRAY_SHAPE
from keras_mnist_sum.data.examples import MOST_EXAMPLES
from keras_mnist_sum.data.folder_walk import files_in
from keras_mnist_sum.data.names import kind_of
from keras_mnist_sum.data.names import part_of
from keras_mnist_sum.data.unread_files import FORMS
from keras_mnist_sum.data.unread_files import check_kind
from keras_mnist_sum.data.unread_files import kind_suffix
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.utils.regular_files import open_regular

_PIXELS = ARRAY_SHAPE[0] * ARRAY_SHAPE[1]
_LARGEST_NPZ = 2**30  # bytes
_LARGEST_ELEMENT = 2**8  # bytes of a number, or of its text
_IDX_NAME = re.compile(r"(ubyte|idx\d?)( ?\(\d+\))?(\.gz)?( ?\(\d+\))?$", re.I)
_TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class _Candidate:
    """What may be one of the four arrays.

    Attributes:
        part: `"train"`, `"test"` or, if no name says so, an empty string.
        kind: `"images"` or `"labels"`.
        name: What it is called, for a person.
        read: Returns the array, in any form that `examples` takes.
    """

    part: str
    kind: str
    name: str
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Found:
    """What there is at a path.

    Attributes:
        sets: `(images, labels)` as `examples.as_examples` returns them, by
            `"train"` and `"test"`, or one of them alone; or by `""`, if there
            is one set and no name says which.
        left_out: Names of what is neither, as validation sets are.
    """

    sets: dict[str, tuple[np.ndarray, np.ndarray]]
    left_out: list[str]


def read_sets(path: Path, test_only: bool = False) -> Found:
    """Reads the images and labels at a path.

    Args:
        path: One of `FORMS`; what a folder holds may lie in folders within it.
        test_only: Leaves out what is known not to be the test set.

    Raises:
        InputError: If there is none, it cannot be told what is what, or a file
            is damaged or of another kind.
    """
    with _readable(path):
        return _read_sets(path, test_only)


def _read_sets(path: Path, test_only: bool) -> Found:
    found = list(_in_folder(path) if path.is_dir() else _in_file(path))
    if not found:
        raise InputError(
            f"MNIST is {FORMS}. Received: {str(path)!r}, where there is none"
        )
    slots: dict[tuple[str, str], list[_Candidate]] = {}
    for one in found:
        slots.setdefault((one.part, one.kind), []).append(one)
    parts = sorted({part for part, _ in slots} - {""}) or [""]
    if parts == ["test"] and ("", "images") in slots:
        parts = ["", "test"]
    left_out = {one.name for one in found if one.part not in parts}
    if test_only and "test" in parts:
        parts = ["test"]
    sets = {}
    for part in parts:
        where = f"the {part} set of {str(path)!r}" if part else repr(str(path))
        for kind in ("images", "labels"):
            if (part, kind) not in slots:
                names = ", ".join(sorted({repr(one.name) for one in found}))
                raise InputError(
                    "There must be labels for images, and images for labels. "
                    f"Received: {str(path)!r} with {names:.300}, but no "
                    f"{part} {kind}".replace("  ", " ")
                )
        images = _the_one(slots[part, "images"], examples.as_images, where)
        labels = _the_one(slots[part, "labels"], examples.as_labels, where)
        key = part or ("train" if len(parts) > 1 else "")
        sets[key] = examples.as_examples(images, labels, where)
    return Found(sets, sorted(left_out))


def _the_one(
    candidates: list[_Candidate],
    convert: Callable[[np.ndarray, str], np.ndarray],
    where: str,
) -> np.ndarray:
    """The array that all candidates hold."""
    array = convert(candidates[0].read(), where)
    for other in candidates[1:]:
        if not np.array_equal(array, convert(other.read(), where)):
            raise InputError(
                "Their names must tell train and test, images and labels: "
                "rename them, or name the one file or folder that is meant. "
                f"Received: {candidates[0].name!r} and {other.name!r} in "
                f"{where}, which differ"
            )
    return array


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except array_files.READ_ERRORS as error:
        why = " ".join(str(getattr(error, "strerror", None) or error).split())
        what = str(getattr(error, "filename", None) or path)
        raise InputError(
            f"Not a whole file of MNIST. Received: {what!r} ({why})"
        ) from error


def _in_folder(folder: Path) -> Iterator[_Candidate]:
    """The candidates in the first form that has some."""
    files = files_in(folder)
    for form in (_idx_files, _npz_files, _npy_files, _csv_files, _picture_sets):
        if found := list(form(folder, files)):
            return iter(found)
    for file in files:
        check_kind(folder / file)
    return iter(())


def _in_file(path: Path) -> Iterator[_Candidate]:
    with array_files.open_unpacked(path) as file:
        head = file.read(8)
    name, folder = Path(path.name), path.parent
    if path.suffix.lower() == ".npz" or (
        head.startswith(b"PK") and path.suffix.lower() not in (".zip", ".pt")
    ):
        return _in_npz(folder, name)
    check_kind(path, head)
    if kind_suffix(path) not in _TABLES and not csv_files.is_wide(path):
        raise InputError(
            f"MNIST is {FORMS}. Received: {str(path)!r}, another kind of file"
        )
    read = functools.partial(csv_files.read, path)
    return _both(part_of(name), path.name, read)


def _idx_files(folder: Path, files: list[Path]) -> Iterator[_Candidate]:
    known = set(files)
    for file in files:
        kind = kind_of(file.name)
        if file.suffix.lower() == ".gz" and file.with_suffix("") in known:
            continue  # Packed beside the same unpacked, as downloads leave it.
        if not _IDX_NAME.search(file.name) and not (
            kind
            and kind_suffix(file) in ("", ".bin", ".dat")
            and _idx_header(folder / file).startswith(b"\0\0\x08")
        ):
            continue
        ndim = {"images": 3, "labels": 1}.get(kind) or min(
            _idx_header(folder / file)[-1], 4
        )
        largest = MOST_EXAMPLES * (_PIXELS if ndim > 1 else 1)
        read = functools.partial(
            array_files.read_idx, folder / file, ndim, largest
        )
        kind = "images" if ndim > 1 else "labels"
        yield _Candidate(part_of(file), kind, str(file), read)


def _idx_header(path: Path) -> bytes:
    with array_files.open_unpacked(path) as file:
        return file.read(4) or b"\0"


def _npz_files(folder: Path, files: list[Path]) -> Iterator[_Candidate]:
    for file in files:
        if file.suffix.lower() == ".npz":
            yield from _in_npz(folder, file)


def _in_npz(folder: Path, file: Path) -> Iterator[_Candidate]:
    path = folder / file
    with _readable(path), open_regular(path) as opened:
        headers = array_files.npz_headers(opened)
    kinds = {
        name: kind_of(name) or _kind_of_array(*head)
        for name, head in headers.items()
    }
    wanted = [name for name, kind in kinds.items() if kind]
    with _readable(path):
        for name in wanted:
            _check_array(*headers[name])

    @functools.cache
    def arrays() -> dict[str, np.ndarray]:
        # At once: the file might be another one later.
        with _readable(path), open_regular(path) as opened:
            return array_files.read_npz(opened, wanted, _LARGEST_NPZ)

    for name in wanted:
        part = part_of(Path(name)) or part_of(file)
        yield _Candidate(
            part, kinds[name], name, functools.partial(_get, arrays, name)
        )


def _get(read: Callable[[], dict[str, np.ndarray]], name: str) -> np.ndarray:
    return read()[name]


def _check_array(shape: tuple[int, ...], dtype: np.dtype) -> None:
    if shape[:1] > (MOST_EXAMPLES,):
        raise ValueError(f"it has more than {MOST_EXAMPLES:,} examples")
    if dtype.itemsize > _LARGEST_ELEMENT:
        raise ValueError(f"it has elements of {dtype.itemsize:,} bytes")


def _kind_of_array(shape: tuple[int, ...], dtype: np.dtype) -> str:
    if dtype.kind not in "biufU":
        return ""
    if len(shape) == 1 or shape[1:] in ((1,), (NUM_DIGITS,)):
        return "labels"
    return "images" if shape[1:2] in ((28,), (784,), (1,), (3,)) else ""


def _npy_files(folder: Path, files: list[Path]) -> Iterator[_Candidate]:
    for file in files:
        if file.suffix.lower() == ".npy" and (kind := kind_of(file.name)):
            read = functools.partial(
                array_files.read_npy, folder / file, _LARGEST_NPZ, _check_array
            )
            yield _Candidate(part_of(file), kind, str(file), read)


def _csv_files(folder: Path, files: list[Path]) -> Iterator[_Candidate]:
    for file in files:
        if kind_suffix(file) in _TABLES and csv_files.is_wide(folder / file):
            read = functools.partial(csv_files.read, folder / file)
            yield from _both(part_of(file), str(file), read)


def _picture_sets(folder: Path, files: list[Path]) -> Iterator[_Candidate]:
    for name, pictures in picture_folders.find(files).items():
        read = functools.partial(picture_folders.read, folder, pictures)
        yield from _both(part_of(name), str(name), read)


def _both(
    part: str, name: str, read: Callable[[], dict[str, np.ndarray]]
) -> Iterator[_Candidate]:
    """The two candidates in what is read at once."""
    once = functools.cache(read)
    for kind in ("images", "labels"):
        yield _Candidate(part, kind, name, functools.partial(_get, once, kind))
