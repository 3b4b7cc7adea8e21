"""`load_model`: a `.keras` file, read as data and within limits.

Keras's own safe mode keeps a file from running code. What is added here keeps
it from asking for more memory than it has weights, and refuses what is damaged
where Keras would go on with fresh weights.
"""

import io
import json
import math
import threading
import warnings
import zipfile
from pathlib import Path

import h5py
import keras

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models import differences_of

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = {"metadata.json", _CONFIG, _WEIGHTS}
_LARGEST_CONFIG = 2**20  # bytes; the default model's has 26 thousand
_LARGEST_FILE = 2**30  # bytes


def load_model(path: str | Path) -> keras.Model:
    """Loads a `.keras` file and checks that it keeps `build_model`'s contract.

    Args:
        path: The file. It is read as data: nothing in it is executed.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        InputError: If the file is missing, damaged, too large or another kind
            of model.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"No such model file. Received: {str(path)!r}")
    try:
        config, content = _read(path)
        _check_size(config, _count_stored(content))
        with warnings.catch_warnings():
            # Keras warns where it leaves a layer's weights as they start.
            warnings.filterwarnings("error", module=r"keras\.src\.saving")
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # A damaged archive surfaces as any of a dozen exceptions.
        known = isinstance(error, _Refused)
        why = str(error) if known else type(error).__name__
        raise InputError(
            "Cannot read this as a Keras model. "
            f"Received: {str(path)!r} ({why})"
        ) from error
    differences_of(model, str(path))
    return model


class _Refused(Exception):
    """Raised with the reason, in a few words."""


def _read(path: Path) -> tuple[dict, bytes]:
    """The model's config, not how it was compiled, and its weights, an HDF5
    file, from the archive.

    Reading them to the end compares their checksums.
    """
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise _Refused("it is no .keras archive")
    if path.stat().st_size > _LARGEST_FILE:
        raise _Refused("it is too large")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sorted(entry.filename for entry in entries) != sorted(_MEMBERS):
            raise _Refused(f"it holds other files than {sorted(_MEMBERS)}")
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED:
                raise _Refused(f"{entry.filename} is compressed")
        if archive.getinfo(_CONFIG).file_size > _LARGEST_CONFIG:
            raise _Refused(f"{_CONFIG} is too large")
        contents = {entry.filename: archive.read(entry) for entry in entries}
    config = json.loads(
        contents[_CONFIG],
        object_hook=lambda x: {k: x[k] for k in x if k != "compile_config"},
    )
    return config, contents[_WEIGHTS]


def _count_stored(content: bytes) -> int:
    """The numbers that an HDF5 file really holds.

    A dataset may claim any shape and be stored nowhere, in another file, or
    compressed; Keras writes none of these.
    """
    total = 0

    def add(group: h5py.Group) -> None:
        nonlocal total
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _Refused(f"{name} in its weights is a link")
            item = group[name]
            if isinstance(item, h5py.Group):
                add(item)
                continue
            stored = item.id.get_storage_size()
            if item.chunks or item.external or item.is_virtual:
                raise _Refused(f"{name} in its weights is not stored plainly")
            if item.nbytes != stored or stored > len(content):
                raise _Refused(f"{name} in its weights is not whole")
            total += item.size

    with h5py.File(io.BytesIO(content), "r") as file:
        add(file)
    return total


def _check_size(config: dict, stored: int) -> None:
    """Refuses a model that would have more weights than `stored` numbers.

    It is built without values, in a thread, for there Keras keeps nothing of
    it after the thread's end.
    """
    outcome: list = []

    def build() -> None:
        try:
            with keras.StatelessScope(initialize_variables=False):
                model = keras.saving.deserialize_keras_object(
                    config, safe_mode=True
                )
            shapes = [variable.shape for variable in model.weights]
            outcome.append(sum(math.prod(shape) for shape in shapes))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    [count] = outcome
    if isinstance(count, Exception):
        raise count
    if count > stored:
        raise _Refused(f"it has {count} weights and holds {stored}")
