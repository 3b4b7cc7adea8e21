"""Where an export goes, and what may be asked of one. Imports no TensorFlow."""

import os
from pathlib import Path

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.formats.open import FORMATS
from keras_mnist_sum.formats.open import PathLike
from keras_mnist_sum.utils.arguments import as_path
from keras_mnist_sum.utils.atomic_files import why_not_for_tensorflow

QUANTIZATIONS = {"convolutions": "int8", "all": "uint8"}  # in a file's name
LARGEST_BATCH = 1024
_BATCHES = ("litert", "onnx")  # which may have one size


def destination(
    folder: PathLike,
    format: str,
    quantize: str | None = None,
    batch: int | None = None,
) -> Path:
    """The path in `folder` that `export` writes to, which must be free.

    Raises:
        InputError: If something is there, there is no such format, it cannot
            be written so, or `folder` is no path.
    """
    known = isinstance(format, str) and format in FORMATS
    if not known or (quantize is not None and format != "litert"):
        raise InputError(
            f"`format` must be one of {', '.join(FORMATS)}, and litert to be "
            f"quantized. Received: format={shown(format)}, "
            f"quantize={shown(quantize)}"
        )
    known = isinstance(quantize, str) and quantize in QUANTIZATIONS
    if quantize is not None and not known:
        raise InputError(
            f"`quantize` must be one of {', '.join(QUANTIZATIONS)}. "
            f"Received: {shown(quantize)}"
        )
    if batch is not None and (
        type(batch) is not int
        or not 1 <= batch <= LARGEST_BATCH
        or format not in _BATCHES
    ):
        raise InputError(
            f"`batch` must be an integer from 1 to {LARGEST_BATCH:,}, for "
            f"{' or '.join(_BATCHES)}. Received: {shown(batch)}, for {format}"
        )
    place = as_path(folder, "`folder` must be the path of a folder to write to")
    if format == "saved_model" and (why := why_not_for_tensorflow(place)):
        raise InputError(
            "A SavedModel needs a path that TensorFlow takes as it is. "
            f"Received: {str(place)!r} ({why})"
        )
    name = FORMATS[format].name
    suffix = FORMATS[format].suffix
    stem = name.removesuffix(suffix) if suffix else name
    parts = [stem, QUANTIZATIONS[quantize] if quantize else None]
    parts.append(f"batch{batch}" if batch else None)
    path = place / ("_".join(filter(None, parts)) + suffix)
    if os.path.lexists(path):
        raise InputError(
            f"An export is not overwritten. Received: {str(path)!r}"
        )
    return path
