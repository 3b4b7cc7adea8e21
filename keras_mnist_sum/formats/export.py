"""Writing a Keras model in another format, and comparing it there with Keras.

Every file is made from a float32 copy, must answer like the Keras model before
it gets its name, and is removed if it does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mnist_sum.data.examples import as_images
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.formats.any_model import AnyModel
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.destination import destination
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.formats.open import FORMATS
from keras_mnist_sum.formats.open import PathLike
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.models.build import task_of
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.utils import extras
from keras_mnist_sum.utils.atomic_files import atomic_write
from keras_mnist_sum.utils.full_float32 import full_float32
from keras_mnist_sum.utils.quiet import filtered_warnings
from keras_mnist_sum.utils.quiet import silence

LARGEST_DIFFERENCE = 1e-5
SMALLEST_AGREEMENT = 0.99  # of what is quantized, and so rounds
_PAIRS = 1000
_PACKAGES = {  # that write a format, and try what was written
    "saved_model": ("tensorflow_serving",),
    "litert": ("ai_edge_litert",),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
}


@dataclass(frozen=True)
class Exported:
    """A file or folder that was written and checked.

    Attributes:
        path: Where it is.
        pairs: Number of (image, number) pairs that it was compared on.
        difference: The largest difference of an output from the Keras model's,
            relative where that is a value above 1.
        agreement: Share of pairs, 0-1, of which all answers are the same.
    """

    path: Path
    pairs: int
    difference: float
    agreement: float

    @property
    def size(self) -> int:
        """Bytes of the file, or of all files in the folder."""
        files = (self.path, *self.path.rglob("*"))
        return sum(file.stat().st_size for file in files if file.is_file())


def export(
    model: AnyModel,
    folder: PathLike,
    format: str,
    calibration_images: Any = None,
    quantize: str | None = None,
    batch: int | None = None,
) -> Exported:
    """Writes `model` for another runtime, whole, or not at all.

    Inputs and outputs keep their names, are float32, and take any batch,
    unless `quantize` or `batch` says otherwise.

    Args:
        model: A model as `build_model` makes it, in any precision, which stays
            as it is; or a run directory or a `.keras` file.
        folder: Where to write `saved_model/1`, `model.tflite`, `model.onnx` or
            `model.keras`; `quantize` and `batch` add to the name.
        format: A key of `FORMATS`.
        calibration_images: Images, as `data.examples.as_images` takes them, for
            `"litert"` alone, which is then quantized within the ranges that it
            has on 500 of these images. Default: no quantization.
        quantize: What then computes in int8. `"convolutions"`: the rest stays
            in float32, as the image, which may be in 0-1 or in 0-255, and the
            probabilities. `"all"`, for microcontrollers: `image` is uint8
            `(1, 28, 28, 1)` in 0-255, `number` is 255 at its place, and
            outputs are uint8, too, about 255 times the probability.
            Default: `"convolutions"`.
        batch: The one batch size that it takes, 1 to 1,024, for `"litert"` and
            `"onnx"`: some small runtimes need that. Default: any, and 1 where
            all is quantized.

    Returns:
        What was written, and how well it agrees with `model`.

    Raises:
        InputError: If `destination` or the system refuses, what it takes is
            not installed, the converter cannot convert it, or what was written
            differs from `model` by more than `LARGEST_DIFFERENCE` or,
            quantized, in more answers than `SMALLEST_AGREEMENT` allows.
    """
    quantized = calibration_images is not None
    if quantized:
        quantize = quantize or "convolutions"
    elif quantize is not None:
        raise InputError(
            "To quantize takes `calibration_images`, a few hundred. Received: "
            f"quantize={shown(quantize)} without"
        )
    path = destination(folder, format, quantize, batch)
    named: dict[str, Any] = {}
    if batch or quantize == "all":
        named["batch"] = batch or 1
    if quantized:
        calibration_images = as_images(calibration_images)
        if not len(calibration_images):
            raise InputError(
                "`calibration_images` must be some. Received: none"
            )
        named["calibration_images"] = calibration_images
        named["quantize"] = quantize
    for package in _PACKAGES.get(format, ()):
        extras.check(package, f"An export to {format}")
    module = FORMATS[format].load()
    model = copy_model(load_model(model), "float32")
    with atomic_write(path) as partial, silence():
        try:
            with filtered_warnings("ignore"):
                module.write(model, partial, **named)
        except (InputError, OSError):
            raise
        except Exception as error:
            raise _not_converted(format, error) from error
        try:
            opened = module.open_file(partial)
        except InputError as error:
            # The runtime's own reason, if there is one.
            raise _not_converted(format, error.__cause__ or error) from error
        exported = compare(model, opened, path, _pairs(calibration_images))
        fits = (
            exported.agreement >= SMALLEST_AGREEMENT
            if quantized
            else exported.difference <= LARGEST_DIFFERENCE
        )
        if not fits:
            raise InputError(
                "An export must answer as its model does, within "
                f"{LARGEST_DIFFERENCE}, or with {100 * SMALLEST_AGREEMENT} % "
                "of the same answers if quantized. Received: "
                f"{str(path)!r}, off by {exported.difference:.2g} with "
                f"{100 * exported.agreement:.2f} % of the same answers"
            )
    return exported


def _not_converted(format: str, error: BaseException) -> InputError:
    words = " ".join(str(error).split())[:400]
    return InputError(
        "This model cannot be written in that format. Received: "
        f"format={format!r} ({type(error).__name__}: {words})"
    )


def compare(
    model: keras.Model,
    opened: OpenedModel,
    path: Path,
    pairs: dict[str, np.ndarray],
) -> Exported:
    """Compares both on all pairs, in batches of 1, 2, 7 and the rest.

    Args:
        model: The Keras model.
        opened: What was written of it.
        path: Where that will be.
        pairs: `image` and `number`.
    """
    task = task_of(model)
    parts = [
        opened.predict({name: x[start:end] for name, x in pairs.items()})
        for start, end in ((0, 1), (1, 3), (3, 10), (10, None))
    ]
    with full_float32():
        expected: Mapping[str, np.ndarray] = model.predict_on_batch(pairs)
    difference, same = 0.0, np.array(True)
    for name in task:
        found = np.concatenate([part[name] for part in parts])
        apart = np.abs(found - expected[name])
        apart /= np.maximum(1, np.abs(expected[name]))
        # NaN stays, and is within no tolerance.
        difference = float(np.maximum(difference, apart.max()))
        decode = task[name].decode
        same = same & (decode(found) == decode(expected[name]))
    return Exported(path, same.size, difference, float(same.mean()))


def _pairs(images: np.ndarray | None) -> dict[str, np.ndarray]:
    """1,000 images, each second one in 0-255, with every number in turn.

    Args:
        images: uint8 array of shape `(examples, 28, 28)`, to take some of.
            Default: smooth noise, blots of ink here and there.
    """
    if images is None:
        random = np.random.default_rng(0)
        height, width, channels = IMAGE_SHAPE
        coarse = random.random((_PAIRS, height // 4, width // 4, channels))
        images = coarse.repeat(4, axis=1).repeat(4, axis=2)
        images = np.rint(255 * np.maximum(2 * images - 1, 0)).astype("uint8")
    chosen = images[np.linspace(0, len(images) - 1, _PAIRS).astype(int)]
    pairs = model_inputs(chosen, np.arange(_PAIRS) % NUM_DIGITS)
    pairs["image"][::2] *= 255
    return pairs
