"""What a SavedModel answers under TensorFlow Serving: two signatures."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mnist_sum import task
from keras_mnist_sum.formats.contract import INPUT_SHAPES
from keras_mnist_sum.models.build import differences_of

SIDE = task.IMAGE_SIZE


def signatures(model: keras.Model) -> dict[str, Callable]:
    """The signatures `serving_default` and `serve_raw` of a model.

    `serving_default` is the model: `image`, float32 `(batch, 28, 28, 1)`, and
    `number`, float32 `(batch, 10)`, to the probabilities (or values, of a
    regression) `digit`, `sum` and `difference`. Refused are a pixel that is not
    finite and a `number` that is no distribution over 0-9: one-hot is.

    `serve_raw` is for a client that knows nothing of tensors: `image`, uint8
    `(batch, 28, 28)`, and `number`, int64 `(batch,)`, to the integers `digit`,
    `sum` and `difference`, int64 `(batch,)`, each with its `..._probability`,
    float32 `(batch,)` (a regression's values have none). Another shape and a
    number outside 0-9 are refused.

    Both refuse an empty batch, and images and numbers that are not equally
    many. A refusal is TensorFlow's `InvalidArgumentError`, which says why.
    """
    specs = {
        name: tf.TensorSpec((None, *shape), tf.float32, name)
        for name, shape in INPUT_SHAPES.items()
    }
    outputs = task.outputs(differences_of(model)[0])

    @tf.function
    def serving_default(image: tf.Tensor, number: tf.Tensor) -> dict:
        why = "`image` must hold finite pixels. Received"
        off = tf.abs(tf.reduce_sum(number, axis=1) - 1)
        checks = [
            *_check_batch(image, number),
            _require(
                tf.reduce_all(number >= 0) & tf.reduce_all(off < 1e-3),
                "`number` must be one-hot, or hold probabilities.",
                number,
            ),
        ]
        with tf.control_dependencies(checks):
            image = tf.debugging.check_numerics(image, why)
        return model({"image": image, "number": number})

    @tf.function
    def serve_raw(image: tf.Tensor, number: tf.Tensor) -> dict:
        shape = tf.shape(image)
        checks = [
            *_check_batch(image, number),
            _require(
                tf.reduce_all(shape[1:] == SIDE),
                f"`image` must have the shape (batch, {SIDE}, {SIDE}).",
                shape,
            ),
            _require(
                tf.reduce_all((number >= 0) & (number < task.NUM_DIGITS)),
                f"`number` must be from 0 to {task.NUM_DIGITS - 1}.",
                number,
            ),
        ]
        with tf.control_dependencies(checks):
            image = tf.reshape(image, (-1, *INPUT_SHAPES["image"]))
        answers = model(
            {
                "image": tf.cast(image, tf.float32) / 255.0,
                "number": tf.one_hot(number, task.NUM_DIGITS),
            }
        )
        raw = {}
        for name, answer in answers.items():
            if answer.shape[-1] == 1:
                raw[name] = tf.cast(tf.round(answer[:, 0]), tf.int64)
            else:
                values = tf.constant(outputs[name].values, tf.int64)
                raw[name] = tf.gather(values, tf.argmax(answer, axis=-1))
                raw[f"{name}_probability"] = tf.reduce_max(answer, axis=-1)
        return raw

    return {
        "serving_default": serving_default.get_concrete_function(**specs),
        "serve_raw": serve_raw.get_concrete_function(
            tf.TensorSpec((None, None, None), tf.uint8, "image"),
            tf.TensorSpec((None,), tf.int64, "number"),
        ),
    }


def write_warmup(path: Path) -> None:
    """Writes the requests that TensorFlow Serving answers before all others,
    so that no client waits for what is set up at the first: one for each
    signature.

    https://www.tensorflow.org/tfx/serving/saved_model_warmup

    Args:
        path: The SavedModel, the folder that holds `saved_model.pb`.
    """
    from tensorflow_serving.apis import prediction_log_pb2

    image = np.zeros((1, SIDE, SIDE), "uint8")
    number = np.array([3], "int64")
    requests: dict[str, dict[str, np.ndarray]] = {
        "serving_default": {
            "image": image[..., np.newaxis].astype("float32"),
            "number": np.eye(task.NUM_DIGITS, dtype="float32")[number],
        },
        "serve_raw": {"image": image, "number": number},
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


def _check_batch(image: tf.Tensor, number: tf.Tensor) -> list[tf.Operation]:
    counts = tf.stack([tf.shape(image)[0], tf.shape(number)[0]])
    return [
        _require(
            (counts[0] > 0) & (counts[0] == counts[1]),
            "There must be a `number` for each `image`, and at least one. "
            "Images and numbers",
            counts,
        )
    ]


def _require(
    condition: tf.Tensor, what: str, received: tf.Tensor
) -> tf.Operation:
    return tf.debugging.Assert(condition, [f"{what} Received:", received], 10)
