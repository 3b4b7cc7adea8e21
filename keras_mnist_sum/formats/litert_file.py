"""LiteRT files (`.tflite`): written, in float32 or int8, and opened."""

import io
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_mnist_sum.formats import trial
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import checked_model
from keras_mnist_sum.formats.model_file import free_axes
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.formats.model_file import opening
from keras_mnist_sum.formats.model_file import read_file
from keras_mnist_sum.models.info import FILE
from keras_mnist_sum.models.info import ModelInfo
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

CALIBRATION_IMAGES = 500
_KIND = "LiteRT"


def write(
    model: "keras.Model",
    path: Path,
    calibration_images: np.ndarray | None = None,
) -> None:
    """Writes `model`, in float32, with LiteRT's own operations alone.

    What it says of itself is an archive behind the model, as TensorFlow Lite
    has it (https://www.tensorflow.org/lite/models/convert/metadata).

    Args:
        model: A model as `build_model` makes it.
        path: The file to write.
        calibration_images: uint8 array of shape `(examples, 28, 28)`. The
            convolutions then compute in int8, within the ranges that they have
            on 500 of these images. Default: no quantization.
    """
    import tensorflow as tf

    from keras_mnist_sum.formats import saved_model
    from keras_mnist_sum.models.build import info_of

    with tempfile.TemporaryDirectory() as folder:
        signature = saved_model.plain_signature(model)
        saved_model.save_functions(
            model, Path(folder), {"serving_default": signature}
        )
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if calibration_images is None:
            content = converter.convert()
        else:
            content = _quantize(converter, calibration_images)
    path.write_bytes(content)
    info = info_of(model)
    if info:
        with zipfile.ZipFile(path, "a") as archive:
            # A fixed date: one model, one file.
            archive.writestr(zipfile.ZipInfo(FILE), info.to_json())
    trial.remember("litert_file", path)


def _quantize(
    converter: "tf.lite.TFLiteConverter", images: np.ndarray
) -> bytes:
    import tensorflow as tf
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    def pairs() -> Iterator[dict[str, np.ndarray]]:
        for i in range(CALIBRATION_IMAGES):
            image = images[[i * len(images) // CALIBRATION_IMAGES]]
            yield model_inputs(image, np.array([i % NUM_DIGITS]))

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = pairs
    # The one public way to quantize some operations and not others.
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter,
        debug_dataset=pairs,
        debug_options=tf.lite.experimental.QuantizationDebugOptions(
            denylisted_ops=[
                name for name in vars(BuiltinOperator) if name != "CONV_2D"
            ]
        ),
    )
    return debugger.get_nondebug_quantized_model()


def open_file(path: Path, task: Task | None = None) -> OpenedModel:
    """Opens a LiteRT file in its interpreter, on the CPU, without TensorFlow.

    It is read as data: the interpreter executes no code from a file, and it is
    tried before in a process of its own. Threads that share the model wait for
    each other.

    Args:
        path: The file, with one signature, `serving_default`.
        task: As for `checked_model`.

    Raises:
        InputError: If it is missing, damaged or another kind of model, or
            LiteRT is not installed.
    """
    content = read_file(path, _KIND)
    trial.check("litert_file", path, content, task)
    return open_content(path, content, task)


def open_content(
    path: Path, content: bytes, task: Task | None = None
) -> OpenedModel:
    """The same, of the `content` of a file that is believed."""
    with opening(path, _KIND):
        from ai_edge_litert.interpreter import Interpreter

        if content[4:8] != b"TFL3":
            raise ValueError("it is no LiteRT file")
        interpreter = Interpreter(model_content=content)
        runner = interpreter.get_signature_runner("serving_default")
        lock = threading.Lock()

        def run(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            with lock:
                return runner(**arrays)

        inputs, outputs = (
            {
                name: (free_axes(x["shape_signature"]), x["dtype"].__name__)
                for name, x in side.items()
            }
            for side in (
                runner.get_input_details(),
                runner.get_output_details(),
            )
        )
        info = _read_info(content)
        return checked_model(path, run, inputs, outputs, info, task)


def _read_info(content: bytes) -> ModelInfo | None:
    file = io.BytesIO(content)
    if not zipfile.is_zipfile(file):
        return None
    with zipfile.ZipFile(file) as archive:
        if FILE not in archive.namelist():
            return None
        with archive.open(FILE) as entry:
            return ModelInfo.read(entry)
