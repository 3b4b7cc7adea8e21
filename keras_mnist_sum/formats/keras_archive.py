"""The parts of a `.keras` archive, read as data and within limits.

Keras's own safe mode refuses some classes by name; here only those are let
through that our models consist of.
"""

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import h5py

from keras_mnist_sum.models import allowed_layers
from keras_mnist_sum.utils.zip_archives import open_zip

_CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = {"metadata.json", _CONFIG, WEIGHTS}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_LARGEST_CONFIG = 2**20  # bytes; the default model's has 26 thousand
# What layers of Keras are made of, by the module that has it.
_OF_LAYERS = {
    "keras.initializers": "Constant GlorotNormal GlorotUniform HeNormal "
    "HeUniform Identity LecunNormal LecunUniform Ones Orthogonal RandomNormal "
    "RandomUniform TruncatedNormal VarianceScaling Zeros",
    "keras.regularizers": "L1 L1L2 L2 OrthogonalRegularizer",
    "keras.constraints": "MaxNorm MinMaxNorm NonNeg UnitNorm",
}
# Class and module, or the name under which a class of ours is registered.
_PARTS = {
    ("Functional", "keras.src.models.functional"),
    ("Sequential", "keras"),
    ("DTypePolicy", "keras"),
    ("__keras_tensor__", None),
    *((name, "keras.layers") for name in allowed_layers.KERAS_LAYERS),
    *(
        (name, module)
        for module, names in _OF_LAYERS.items()
        for name in names.split()
    ),
}
# Names that the first edition gave to layers of ours.
_RENAMED = {
    "ShiftedCopies": "AugmentByShifts",
    "MeanOfCopies": "MeanOverShifts",
}
# How it was compiled; and what lets a config say one thing twice.
_LEFT_OUT = {"compile_config", "build_config", "shared_object_id"}


class Refused(Exception):
    """Raised with the reason, in a few words."""


def read_config(file: BinaryIO) -> dict:
    """The model's config from the archive in an open file, made of allowed
    parts alone.

    Raises:
        Refused: If it is not, or the archive holds anything else, or is
            compressed. Damage surfaces as any of a dozen exceptions.
    """
    with _opened(file) as archive:
        config = json.loads(archive.read(_CONFIG), object_hook=current)
    check_parts(config)
    return config


def read_weights(file: BinaryIO) -> bytes:
    """The model's weights, an HDF5 file, from the same. Errors likewise."""
    with _opened(file) as archive:
        return archive.read(WEIGHTS)


@contextlib.contextmanager
def _opened(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    try:
        archive = open_zip(file)
    except ValueError as error:
        raise Refused(str(error)) from error
    with archive:
        entries = archive.infolist()
        if sorted(entry.filename for entry in entries) != sorted(_MEMBERS):
            raise Refused(f"it holds other files than {sorted(_MEMBERS)}")
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED:
                raise Refused(f"{entry.filename} is compressed")
            if entry.filename != WEIGHTS and entry.file_size > _LARGEST_CONFIG:
                raise Refused(f"{entry.filename} is too large")
        with archive.open(WEIGHTS) as weights:
            if weights.read(8) != _HDF5:
                raise Refused(f"{WEIGHTS} is no HDF5 file")
        yield archive


def current(part: dict) -> dict:
    """A part of a config without `_LEFT_OUT`, and by its name of today."""
    part = {name: part[name] for name in part if name not in _LEFT_OUT}
    name = part.get("class_name")
    if part.get("registered_name") == f"keras_mnist_sum>{name}":
        name = _RENAMED.get(str(name), name)
        part["class_name"] = name
        part["registered_name"] = f"keras_mnist_sum>{name}"
    return part


def _parts(config: object) -> Iterator[dict]:
    """What a config names by a class, at any depth."""
    if isinstance(config, dict):
        if "class_name" in config or "registered_name" in config:
            yield config
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from _parts(part)


def check_parts(config: object) -> None:
    """Refuses what is not made of `_PARTS` alone.

    Keras finds a class by the registered name, if there is one, else by class
    and module; a class named otherwise could run code as it is built.

    Raises:
        Refused: If it is.
    """
    allowed = allowed_layers.allowed_layers()
    for part in _parts(config):
        name, where = part.get("class_name"), part.get("module")
        registered = part.get("registered_name")
        if registered not in (None, name):
            where = registered
        known = where in allowed and name == allowed[where].__name__
        if not known and (name, where) not in _PARTS:
            raise Refused(
                f"it has a part {name!r} of {where!r}; what none of Keras's "
                "usual layers does belongs in a layer of your own, allowed "
                "by models.layers.allow_layer"
            )


def has_own_layers(config: object) -> bool:
    """Whether it has a layer that no other process may know."""
    own = {
        name
        for name, layer in allowed_layers.allowed_layers().items()
        if not layer.__module__.startswith("keras_mnist_sum.")
    }
    return any(part.get("registered_name") in own for part in _parts(config))


def count_stored(content: bytes) -> int:
    """The bytes of weights that an HDF5 file really holds.

    A dataset may claim any shape and be stored nowhere, in another file,
    compressed, or under many names; Keras writes none of these.

    Raises:
        Refused: If one does.
    """
    total = 0
    seen = set()

    def add(group: h5py.Group) -> None:
        nonlocal total
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Refused(f"{name} in its weights is a link")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise Refused(f"{name} in its weights is a second name")
            seen.add(address)
            if isinstance(item, h5py.Group):
                add(item)
                continue
            stored = item.id.get_storage_size()
            if item.chunks or item.external or item.is_virtual:
                raise Refused(f"{name} in its weights is not stored plainly")
            if item.nbytes != stored or stored > len(content):
                raise Refused(f"{name} in its weights is not whole")
            total += stored

    with h5py.File(io.BytesIO(content), "r") as file:
        add(file)
    return total
