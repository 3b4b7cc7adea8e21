"""`load_model`: a `.keras` file, read as data and within limits.

Keras's own safe mode refuses some classes by name; here only those are built
that our models consist of, and no model that would have more weights than its
file holds.
"""

import copy
import io
import json
import math
import threading
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import Specs
from keras_mnist_sum.formats.model_file import checked_model
from keras_mnist_sum.models import layers
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.models.build import info_of
from keras_mnist_sum.models.build import kept_random_state
from keras_mnist_sum.task import Task

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = {"metadata.json", _CONFIG, _WEIGHTS}
_LARGEST_CONFIG = 2**20  # bytes; the default model's has 26 thousand
_LARGEST_FILE = 2**30  # bytes
_INITIALIZERS = "GlorotUniform HeNormal HeUniform Ones RandomUniform Zeros"
# Class and module, or the name under which a class of ours is registered.
_PARTS = {
    ("Functional", "keras.src.models.functional"),
    ("DTypePolicy", "keras"),
    ("__keras_tensor__", None),
    *((name, "keras.layers") for name in layers.KERAS_LAYERS),
    *((name, "keras.initializers") for name in _INITIALIZERS.split()),
}
# Names that the first edition gave to layers of ours.
_RENAMED = {
    "ShiftedCopies": "AugmentByShifts",
    "MeanOfCopies": "MeanOverShifts",
}
# How it was compiled; and what lets a config say one thing twice.
_LEFT_OUT = {"compile_config", "build_config", "shared_object_id"}


def load_model(path: str | Path, difference: str | None = None) -> keras.Model:
    """Loads a `.keras` file and checks that it is a model as `build_model`
    makes it.

    Args:
        path: The file. It is read as data: nothing in it is executed.
        difference: `"absolute"` or `"signed"`, for a file that does not say
            what its outputs are. Default: the former.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        InputError: If the file is missing, damaged, too large or another kind
            of model.
    """
    task = Task.named(difference=difference) if difference else None
    return open_file(Path(path), task).keras_model


def open_file(path: Path, task: Task | None = None) -> OpenedModel:
    """Opens a `.keras` file. Arguments and errors as for `checked_model`."""
    if not path.is_file():
        raise InputError(f"No such model file. Received: {str(path)!r}")
    try:
        config, weights = _read(path)
        _check_parts(config)
        with kept_random_state():
            _check_size(config, _count_stored(weights))
            model = _build(config)
        with warnings.catch_warnings():
            # Keras warns where it leaves weights as they start.
            warnings.filterwarnings("error", module=r"keras\.src\.saving")
            model.load_weights(path)
        info = info_of(model)
    except Exception as error:
        # A damaged archive surfaces as any of a dozen exceptions.
        known = isinstance(error, _Refused | InputError)
        why = str(error) if known else type(error).__name__
        raise InputError(
            "Cannot read this as a Keras model. "
            f"Received: {str(path)!r} ({why})"
        ) from error
    # Some parts tell only by a call that they were made with nonsense.
    return checked_model(
        path,
        model.predict_on_batch,
        *io_specs(model),
        info,
        task,
        keras_model=model,
        trial=lambda x: model(x, training=False),  # Traces nothing.
    )


def io_specs(model: keras.Model) -> tuple[Specs, Specs]:
    """Shapes and dtypes of what `model` takes and gives, by name."""
    inputs, outputs = (
        {name: (x.shape, x.dtype) for name, x in side.items()}
        if isinstance(side, dict)
        else {}
        for side in (
            getattr(model, "input", None),
            getattr(model, "output", None),
        )
    )
    return inputs, outputs


def write(model: keras.Model, path: Path) -> None:
    """Writes a model, without how it was compiled."""
    copy_model(model).save(path)


def check_loadable(model: keras.Model) -> None:
    """Refuses a model that `load_model` could not read.

    Raises:
        InputError: If it has a layer that is in none of the lists of
            `models.layers`.
    """
    bare = keras.Model(model.input, model.output)
    try:
        _check_parts(
            json.loads(json.dumps(keras.saving.serialize_keras_object(bare)))
        )
    except _Refused as error:
        raise InputError(
            "A model file may hold Keras's common layers, those of the package "
            "and those that `keras_mnist_sum.models.layers.allow_layer` was "
            f"given. Received: a model of which {error}"
        ) from error


class _Refused(Exception):
    """Raised with the reason, in a few words."""


def _read(path: Path) -> tuple[dict, bytes]:
    """The model's config and its weights, an HDF5 file, from the archive.

    Reading them to the end compares their checksums.
    """
    if path.suffix.lower() != ".keras" or not zipfile.is_zipfile(path):
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
    config = json.loads(contents[_CONFIG], object_hook=_current)
    return config, contents[_WEIGHTS]


def _current(part: dict) -> dict:
    """A part of a config without `_LEFT_OUT`, and by its name of today."""
    part = {name: part[name] for name in part if name not in _LEFT_OUT}
    name = part.get("class_name")
    if part.get("registered_name") == f"keras_mnist_sum>{name}":
        name = _RENAMED.get(str(name), name)
        part["class_name"] = name
        part["registered_name"] = f"keras_mnist_sum>{name}"
    return part


def _check_parts(config: object) -> None:
    """Refuses what is not made of `_PARTS` alone.

    Keras finds a class by the registered name, if there is one, else by class
    and module; a class named otherwise could run code as it is built.
    """
    if isinstance(config, list):
        for part in config:
            _check_parts(part)
    elif isinstance(config, dict):
        for part in config.values():
            _check_parts(part)
        if "class_name" in config or "registered_name" in config:
            name = config.get("class_name")
            where = config.get("module")
            registered = config.get("registered_name")
            if registered not in (None, name):
                where = registered
            known = where in layers.allowed_layers() and (
                name == layers.allowed_layers()[where].__name__
            )
            if not known and (name, where) not in _PARTS:
                raise _Refused(
                    f"it has a part {name!r} of {where!r}; a layer of your own "
                    "must be allowed by models.layers.allow_layer"
                )


def _count_stored(content: bytes) -> int:
    """The bytes of weights that an HDF5 file really holds.

    A dataset may claim any shape and be stored nowhere, in another file,
    compressed, or under many names; Keras writes none of these.
    """
    total = 0
    seen = set()

    def add(group: h5py.Group) -> None:
        nonlocal total
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _Refused(f"{name} in its weights is a link")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise _Refused(f"{name} in its weights is a second name")
            seen.add(address)
            if isinstance(item, h5py.Group):
                add(item)
                continue
            stored = item.id.get_storage_size()
            if item.chunks or item.external or item.is_virtual:
                raise _Refused(f"{name} in its weights is not stored plainly")
            if item.nbytes != stored or stored > len(content):
                raise _Refused(f"{name} in its weights is not whole")
            total += stored

    with h5py.File(io.BytesIO(content), "r") as file:
        add(file)
    return total


def _check_size(config: dict, stored: int) -> None:
    """Refuses a model whose weights would take more than `stored` bytes.

    It is built without values, in a thread, for there Keras keeps nothing of
    it after the thread's end.
    """
    outcome: list = []

    def build() -> None:
        try:
            with keras.StatelessScope(initialize_variables=False):
                model = _build(config)
            outcome.append(
                sum(
                    math.prod(weight.shape) * np.dtype(weight.dtype).itemsize
                    for weight in model.weights
                )
            )
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    [needed] = outcome
    if isinstance(needed, Exception):
        raise needed
    if needed > stored:
        raise _Refused(
            f"its weights would take {needed:,} bytes, and it holds {stored:,}"
        )


def _build(config: dict) -> keras.Model:
    config = copy.deepcopy(config)  # Keras takes it apart.
    return keras.saving.deserialize_keras_object(config, safe_mode=True)
