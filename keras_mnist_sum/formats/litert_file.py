"""LiteRT files (`.tflite`): written, in float32 or int8, and opened."""

import io
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import BinaryIO

import numpy as np

from keras_mnist_sum.formats import trial
from keras_mnist_sum.formats.fixed_batch import any_batch
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import check_file
from keras_mnist_sum.formats.model_file import checked_model
from keras_mnist_sum.formats.model_file import free_axes
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.formats.model_file import opening
from keras_mnist_sum.models.info import FILE
from keras_mnist_sum.models.info import ModelInfo
from keras_mnist_sum.task import INPUT_SHAPES
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.zip_archives import open_zip

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

CALIBRATION_IMAGES = 500
_KIND = "LiteRT"


def write(
    model: "keras.Model",
    path: Path,
    calibration_images: np.ndarray | None = None,
    quantize: str = "convolutions",
    batch: int | None = None,
) -> None:
    """Writes `model`, in float32, with LiteRT's own operations alone.

    Inputs and outputs are called as the model's, and stand in their order.

    What it says of itself is an archive behind the model, as TensorFlow Lite
    has it (https://www.tensorflow.org/lite/models/convert/metadata).

    Args:
        model: A model as `build_model` makes it.
        path: The file to write.
        calibration_images: uint8 array of shape `(examples, 28, 28)`. It is
            then quantized, within the ranges that it has on 500 of these
            images. Default: no quantization.
        quantize: What then computes in int8: `"convolutions"`, or `"all"`,
            which also takes and gives uint8.
        batch: How many rows it takes. Default: any.
    """
    import tensorflow as tf

    from keras_mnist_sum.formats.saved_model import save_functions
    from keras_mnist_sum.formats.signatures import plain_signature
    from keras_mnist_sum.models.build import copy_model
    from keras_mnist_sum.models.build import info_of
    from keras_mnist_sum.models.layers import PropagateNaN

    info = info_of(model)
    if quantize == "all":
        # Integers have no NaN, and LiteRT Micro ends the process on one.
        model = copy_model(model, without=(PropagateNaN,))
    with tempfile.TemporaryDirectory() as folder:
        signature = plain_signature(model, batch)
        save_functions(model, Path(folder), {"serving_default": signature})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if calibration_images is None:
            content = converter.convert()
        else:
            content = _quantize(converter, calibration_images, quantize)
    path.write_bytes(_named(content, list(model.output)))
    if info:
        with zipfile.ZipFile(path, "a") as archive:
            # A fixed date: one model, one file.
            archive.writestr(zipfile.ZipInfo(FILE), info.to_json())
    trial.remember("litert_file", path)


def _named(content: bytes, outputs: list[str]) -> bytes:
    """The same, with its inputs' and outputs' own names, and in their order:
    some runtimes know no signatures, and the converter calls a tensor
    `StatefulPartitionedCall:1`."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    [graph], [signature] = model.subgraphs, model.signatureDefs
    found = {}
    for each in (*signature.inputs, *signature.outputs):
        graph.tensors[each.tensorIndex].name = each.name
        found[each.name.decode()] = each.tensorIndex
    graph.inputs = [found[name] for name in INPUT_SHAPES]
    graph.outputs = [found[name] for name in outputs]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _quantize(
    converter: "tf.lite.TFLiteConverter", images: np.ndarray, what: str
) -> bytes:
    import tensorflow as tf
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    def pairs() -> Iterator[dict[str, np.ndarray]]:
        for i in range(CALIBRATION_IMAGES):
            image = images[[i * len(images) // CALIBRATION_IMAGES]]
            yield model_inputs(image, np.array([i % NUM_DIGITS]))

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = pairs
    if what == "all":
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        ]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.uint8
        return converter.convert()
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
    check_file(path, _KIND, _may_be_one)
    return open_content(path, trial.read_tried("litert_file", path, task), task)


def _may_be_one(file: BinaryIO) -> bool:
    return file.read(8)[4:] == b"TFL3"


def open_content(
    path: Path, content: bytes, task: Task | None = None
) -> OpenedModel:
    """The same, of the `content` of a file that is believed."""
    with opening(path, _KIND):
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=content)
        runner = interpreter.get_signature_runner("serving_default")
        takes, gives = runner.get_input_details(), runner.get_output_details()
        lock = threading.Lock()

        def run(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            rows = {
                name: _to_file(x, takes[name]) for name, x in arrays.items()
            }
            with lock:
                answers = runner(**rows)
            return {
                name: _from_file(x, gives[name]) for name, x in answers.items()
            }

        inputs, outputs = (
            {
                name: (
                    free_axes(x["shape_signature"]),
                    # Quantized on the way.
                    "float32" if _is_quantized(x) else x["dtype"].__name__,
                )
                for name, x in side.items()
            }
            for side in (takes, gives)
        )
        info = _read_info(content)
        return checked_model(path, *any_batch(run, inputs, outputs), info, task)


def _is_quantized(tensor: dict[str, Any]) -> bool:
    scale, _ = tensor["quantization"]
    return tensor["dtype"] is np.uint8 and scale > 0


def _to_file(array: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Floats as a file takes them: images in 0-255 as those in 0-1."""
    if not _is_quantized(tensor):
        return array
    scale, zero = tensor["quantization"]
    largest = array.max(axis=tuple(range(1, array.ndim)), keepdims=True)
    array = np.where(largest > 1, array / 255, array)
    return np.clip(np.rint(array / scale) + zero, 0, 255).astype("uint8")


def _from_file(array: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    if not _is_quantized(tensor):
        return array
    scale, zero = tensor["quantization"]
    return (array.astype("float32") - zero) * np.float32(scale)


def _read_info(content: bytes) -> ModelInfo | None:
    file = io.BytesIO(content)
    if not zipfile.is_zipfile(file):
        return None
    with open_zip(file) as archive:
        if FILE not in archive.namelist():
            return None
        with archive.open(FILE) as entry:
            return ModelInfo.read(entry)
