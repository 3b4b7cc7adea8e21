"""Writing a Keras model for other runtimes, and checking it in them.

Every file is made from a float32 copy, must answer like the Keras model before
it gets its name, and is removed if it does not.
"""

import functools
import tempfile
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mnist_sum import task
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.formats import runtimes
from keras_mnist_sum.formats import saved_model
from keras_mnist_sum.formats.contract import INPUT_SHAPES
from keras_mnist_sum.formats.contract import Predict
from keras_mnist_sum.formats.contract import model_inputs
from keras_mnist_sum.models.build import differences_of
from keras_mnist_sum.models.build import in_float32
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils.quiet import silence

LARGEST_DIFFERENCE = 1e-5
SMALLEST_AGREEMENT = 0.99  # of what is quantised, and so rounds
CALIBRATION_IMAGES = 500

_NAMES: dict[str, str | Path] = {
    "saved_model": run_directory.SAVED_MODEL,
    "litert": run_directory.LITERT,
    "onnx": run_directory.ONNX,
}


@dataclass(frozen=True)
class Exported:
    """A file or folder that was written and checked.

    Attributes:
        path: Where it is.
        pairs: Number of (image, number) pairs that it was compared on.
        difference: The largest difference of an output from the Keras model's,
            relative where that is a value above 1.
        agreement: Share of pairs, 0-1, whose three answers are the same.
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


def destination(
    folder: str | Path, format: str, quantized: bool = False
) -> Path:
    """The path in `folder` that `export` writes to, which must be free.

    Raises:
        InputError: If something is there, or there is no such format.
    """
    if format not in _NAMES or (quantized and format != "litert"):
        raise InputError(
            "`format` must be saved_model, litert or onnx, and litert to be "
            f"quantised. Received: format={format!r}, quantized={quantized}"
        )
    path = Path(folder) / (
        run_directory.LITERT_INT8 if quantized else _NAMES[format]
    )
    if path.exists():
        raise InputError(
            f"An export is not overwritten. Received: {str(path)!r}"
        )
    return path


def export(
    model: keras.Model,
    folder: str | Path,
    format: str,
    calibration_images: np.ndarray | None = None,
) -> Exported:
    """Writes `model` for another runtime, whole, or not at all.

    Inputs and outputs keep their names, are float32, and take any batch.

    Args:
        model: A model as `build_model` makes it, in any precision.
        folder: Where to write `saved_model/1`, `model.tflite`,
            `model_int8.tflite` or `model.onnx`.
        format: `"saved_model"`, `"litert"` or `"onnx"`.
        calibration_images: uint8 array of shape `(examples, 28, 28)`, for
            `"litert"` alone. The convolutions then compute in int8, within the
            ranges that they have on 500 of these images. The rest
            stays in float32: the image, which may be in 0-1 or in 0-255, and
            the probabilities. Default: no quantisation.

    Returns:
        What was written, and how well it agrees with `model`.

    Raises:
        InputError: If `destination` or the system refuses, what it takes is
            not installed, or what was written differs from `model` by more
            than `LARGEST_DIFFERENCE` or, quantised, in more answers than
            `SMALLEST_AGREEMENT` allows.
    """
    quantized = calibration_images is not None
    path = destination(folder, format, quantized)
    formats: dict[str, tuple[Callable, Callable]] = {
        "saved_model": (
            saved_model.export_saved_model,
            saved_model.load_saved_model,
        ),
        "litert": (
            functools.partial(_write_litert, images=calibration_images),
            runtimes.load_litert,
        ),
        "onnx": (_write_onnx, runtimes.load_onnx),
    }
    write, load = formats[format]
    model = in_float32(model)
    with atomic_files.written_aside(path) as aside, silence():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                write(model, aside)
        except ImportError as error:
            raise InputError(
                "A package is missing to export this: pip install it, as "
                "requirements.txt does. "
                f"Received: format={format!r} ({error})"
            ) from error
        exported = _compare(model, load(aside)[0], path)
        fits = (
            exported.agreement >= SMALLEST_AGREEMENT
            if quantized
            else exported.difference <= LARGEST_DIFFERENCE
        )
        if not fits:
            raise InputError(
                "An export must answer as its model does, within "
                f"{LARGEST_DIFFERENCE}, or with {100 * SMALLEST_AGREEMENT} % "
                "of the same answers if quantised. Received: "
                f"{str(path)!r}, off by {exported.difference:.2g} with "
                f"{100 * exported.agreement:.2f} % of the same answers"
            )
    return exported


def _compare(model: keras.Model, predict: Predict, path: Path) -> Exported:
    """Compares both on all pairs, in batches of 1, 2, 7 and the rest."""
    pairs = _pairs()
    parts = [
        predict({name: x[start:end] for name, x in pairs.items()})
        for start, end in ((0, 1), (1, 3), (3, 10), (10, None))
    ]
    difference, same = 0.0, np.array(True)
    outputs = task.outputs(differences_of(model)[0])
    for name, expected in model.predict_on_batch(pairs).items():
        found = np.concatenate([part[name] for part in parts])
        apart = np.abs(found - expected) / np.maximum(1, np.abs(expected))
        # NaN stays, and is within no tolerance.
        difference = float(np.maximum(difference, apart.max()))
        answers = outputs[name].answers
        same = same & (answers(found) == answers(expected))
    return Exported(path, same.size, difference, float(same.mean()))


@functools.cache
def _pairs() -> dict[str, np.ndarray]:
    """The sample's 1,000 test images, which are always there, each second one
    in 0-255, and numbers."""
    images = load_mnist("sample", test_only=True).test_images
    count = np.arange(len(images))
    # However the digits are ordered, each meets each number.
    number = (count + count // task.NUM_DIGITS) % task.NUM_DIGITS
    pairs = model_inputs(images, number)
    pairs["image"][::2] *= 255
    return pairs


def _write_litert(
    model: keras.Model, path: Path, images: np.ndarray | None
) -> None:
    """Converts with LiteRT's own operations alone: it needs nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if images is None:
            path.write_bytes(converter.convert())
            return
        from ai_edge_litert.schema_py_generated import BuiltinOperator

        def pairs() -> Iterator[dict[str, np.ndarray]]:
            for i in range(CALIBRATION_IMAGES):
                image = images[[i * len(images) // CALIBRATION_IMAGES]]
                yield model_inputs(image, np.array([i % task.NUM_DIGITS]))

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = pairs
        # The one public way to quantise some operations and not others.
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=pairs,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(
                denylisted_ops=[
                    name for name in vars(BuiltinOperator) if name != "CONV_2D"
                ]
            ),
        )
        path.write_bytes(debugger.get_nondebug_quantized_model())


def _write_onnx(model: keras.Model, path: Path) -> None:
    import onnx

    from keras_mnist_sum.formats.onnx_order import in_order

    signature = {
        name: tf.TensorSpec((None, *shape), "float32", name=name)
        for name, shape in INPUT_SHAPES.items()
    }
    model.export(
        path, format="onnx", verbose=False, input_signature=[signature]
    )
    path.write_bytes(in_order(onnx.load(path)).SerializeToString())
