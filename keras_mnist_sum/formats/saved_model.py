"""SavedModels: written for TensorFlow Serving, opened and called."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import Specs
from keras_mnist_sum.formats.model_file import checked_model
from keras_mnist_sum.formats.model_file import image_input
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.formats.signatures import RAW_SHAPE
from keras_mnist_sum.formats.signatures import input_specs
from keras_mnist_sum.formats.signatures import signatures
from keras_mnist_sum.models.build import info_of
from keras_mnist_sum.models.info import FILE
from keras_mnist_sum.models.info import ModelInfo
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.quiet import system_errors

_INFO = Path("assets.extra", FILE)


def write(model: keras.Model, path: Path) -> None:
    """Writes `model` as a SavedModel; `signatures` says what it takes.

    Args:
        model: A model as `build_model` makes it, in float32.
        path: The version folder to write, as TensorFlow Serving expects it.
    """
    info = info_of(model)
    with system_errors():
        save_functions(model, path, signatures(model))
        write_warmup(path)
    if info:
        (path / _INFO).write_text(info.to_json(), encoding="utf-8")


def save_functions(
    model: keras.Model, path: Path, functions: dict[str, Callable]
) -> None:
    """Saves functions that call `model`, and its weights, once."""
    # Keras's own `export` writes all weights twice.
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    # What `keras.layers.TFSMLayer` calls, with one argument.
    module.serve = tf.function(
        lambda inputs: model(inputs, training=False), [input_specs()]
    )
    tf.saved_model.save(module, str(path), functions)


def write_warmup(path: Path) -> None:
    """Writes the requests that TensorFlow Serving answers before all others,
    one for each signature, so that no client waits for the first answer.

    https://www.tensorflow.org/tfx/serving/saved_model_warmup

    Args:
        path: The SavedModel, the folder that holds `saved_model.pb`.
    """
    from tensorflow_serving.apis import prediction_log_pb2

    image = np.zeros((1, *RAW_SHAPE), "uint8")
    number = np.array([3], "int64")
    requests: dict[str, dict[str, np.ndarray]] = {
        "serving_default": model_inputs(image, number),
        "serve_raw": {"image": image, "number": number},
        "serve": model_inputs(image, number),
        "all_numbers": {"image": image_input(image)},
    }
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir()
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, arrays in requests.items():
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = signature
            for name, array in arrays.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
            writer.write(log.SerializeToString())


def open_file(path: Path, task: Task | None = None) -> OpenedModel:
    """Opens a SavedModel, and calls it by its signature `serving_default`.

    Args:
        path: The folder that holds `saved_model.pb`, or one with numbered
            versions, of which the highest is taken.
        task: As for `checked_model`.

    Raises:
        InputError: If it is damaged, or another kind of model.
    """
    path = version_folder(path)
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_default"]
        inputs = signature.structured_input_signature[1]
        outputs = signature.structured_outputs
        info = None
        if (path / _INFO).is_file():
            with open(path / _INFO, "rb") as file:
                info = ModelInfo.read(file)
    except Exception as error:
        # A damaged folder surfaces as any of a dozen exceptions.
        known = isinstance(error, InputError)
        raise InputError(
            "Cannot read this as a SavedModel with a signature "
            f"serving_default. Received: {str(path)!r} "
            f"({error if known else type(error).__name__})"
        ) from error

    def run(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        # `loaded` stays referenced: the signature does not own its weights.
        named = {name: tf.constant(array) for name, array in arrays.items()}
        answers = loaded.signatures["serving_default"](**named)
        return {name: tensor.numpy() for name, tensor in answers.items()}

    def all_numbers(image: np.ndarray) -> dict[str, np.ndarray]:
        answers = loaded.signatures["all_numbers"](image=tf.constant(image))
        return {name: tensor.numpy() for name, tensor in answers.items()}

    opened = checked_model(
        path, run, _io_specs(inputs), _io_specs(outputs), info, task
    )
    if "all_numbers" in loaded.signatures:
        return dataclasses.replace(opened, all_numbers=all_numbers)
    return opened


def _io_specs(tensors: dict) -> Specs:
    return {
        name: (
            None if x.shape.rank is None else tuple(x.shape.as_list()),
            x.dtype.name,
        )
        for name, x in tensors.items()
    }


def version_folder(path: Path) -> Path:
    """The highest numbered version in `path`, or `path` if it is one."""
    if (path / "saved_model.pb").is_file() or not path.is_dir():
        return path
    versions = [
        child
        for child in path.iterdir()
        if child.name.isdecimal() and (child / "saved_model.pb").is_file()
    ]
    return max(versions, key=lambda child: int(child.name), default=path)
