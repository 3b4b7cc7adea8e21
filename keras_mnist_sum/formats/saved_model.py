"""SavedModels: written for TensorFlow Serving, opened and called.

Three signatures: `serving_default` is the model, `serve_raw` is for a client
that knows nothing of tensors, and `serve` is the model for converters, and for
`keras.layers.TFSMLayer`.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mnist_sum.data.pipeline import scale_pixels
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import Specs
from keras_mnist_sum.formats.model_file import checked_model
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.models.build import info_of
from keras_mnist_sum.models.build import task_of
from keras_mnist_sum.models.info import FILE
from keras_mnist_sum.models.info import ModelInfo
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import INPUT_SHAPES
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.quiet import system_errors

_INFO = Path("assets.extra", FILE)
_RAW_SHAPE = IMAGE_SHAPE[:2] if IMAGE_SHAPE[2] == 1 else IMAGE_SHAPE


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


def plain_signature(model: keras.Model, batch: int | None = None) -> Callable:
    """The model as it is, with nothing refused: for converters.

    Args:
        model: The model.
        batch: How many rows it takes. Default: any.
    """

    @tf.function
    def serve(image: tf.Tensor, number: tf.Tensor) -> dict:
        return model({"image": image, "number": number}, training=False)

    return serve.get_concrete_function(**input_specs(batch))


def input_specs(batch: int | None = None) -> dict[str, tf.TensorSpec]:
    """What a model takes, by name, in batches of any size or of one."""
    return {
        name: tf.TensorSpec((batch, *shape), tf.float32, name)
        for name, shape in INPUT_SHAPES.items()
    }


def signatures(model: keras.Model) -> dict[str, Callable]:
    """The signatures `serving_default`, `serve_raw` and `serve` of a model.

    `serving_default` is the model: `image`, float32 `(batch, 28, 28, 1)`, and
    `number`, float32 `(batch, 10)`, to its outputs: probabilities, or values of
    a regression. Refused are a pixel that is not finite and a `number` that is
    not a distribution over 0-9: one-hot is.

    `serve_raw` takes `image`, uint8 `(batch, 28, 28)`, and `number`, int64
    `(batch,)`, and gives each output as an integer, int64 `(batch,)`, with its
    `..._probability`, float32 `(batch,)`; a regression's values have none.
    A number outside 0-9 is refused.

    `serve` is `serving_default` that refuses nothing: TensorFlow.js and
    coremltools convert no assertions.

    The first two refuse another shape, an empty batch, and images and numbers
    that are not equally many. A refusal is TensorFlow's `InvalidArgumentError`,
    which says why.
    """
    task = task_of(model)

    @tf.function
    def serving_default(image: tf.Tensor, number: tf.Tensor) -> dict:
        why = "`image` must hold finite pixels. Received"
        image, number = _checked_batch(image, number)
        off = tf.abs(tf.reduce_sum(number, axis=1) - 1)
        check = _require(
            tf.reduce_all(number >= 0) & tf.reduce_all(off < 1e-3),
            "`number` must be one-hot, or hold probabilities.",
            number,
        )
        with tf.control_dependencies([check]):
            image = tf.debugging.check_numerics(image, why)
        return model({"image": image, "number": number})

    @tf.function
    def serve_raw(image: tf.Tensor, number: tf.Tensor) -> dict:
        image, number = _checked_batch(image, number)
        check = _require(
            tf.reduce_all((number >= 0) & (number < NUM_DIGITS)),
            f"`number` must be from 0 to {NUM_DIGITS - 1}.",
            number,
        )
        with tf.control_dependencies([check]):
            image = tf.identity(image)
        answers = model(
            {
                "image": scale_pixels(image),
                "number": tf.one_hot(number, NUM_DIGITS),
            }
        )
        raw = {}
        for name, answer in answers.items():
            if answer.shape[-1] == 1:
                raw[name] = tf.cast(tf.round(answer[:, 0]), tf.int64)
            else:
                values = tf.constant(task[name].values, tf.int64)
                raw[name] = tf.gather(values, tf.argmax(answer, axis=-1))
                raw[f"{name}_probability"] = tf.reduce_max(answer, axis=-1)
        return raw

    return {
        "serving_default": serving_default.get_concrete_function(
            **input_specs()
        ),
        "serve_raw": serve_raw.get_concrete_function(
            tf.TensorSpec((None, *_RAW_SHAPE), tf.uint8, "image"),
            tf.TensorSpec((None,), tf.int64, "number"),
        ),
        "serve": plain_signature(model),
    }


def _checked_batch(
    image: tf.Tensor, number: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Both, refused unless they have the shapes that are declared for them,
    and are equally many: clients are not held to what is declared."""
    image, number = _with_shape("image", image), _with_shape("number", number)
    counts = tf.stack([tf.shape(image)[0], tf.shape(number)[0]])
    check = _require(
        (counts[0] > 0) & (counts[0] == counts[1]),
        "There must be a `number` for each `image`, and at least one. "
        "Images and numbers",
        counts,
    )
    with tf.control_dependencies([check]):
        return tf.identity(image), tf.identity(number)


def _with_shape(name: str, tensor: tf.Tensor) -> tf.Tensor:
    declared = tensor.shape
    # TensorFlow takes what it can from the declaration, such as the number of
    # axes: so all sizes are compared, with a -1 behind the last.
    sizes = tf.shape(tensor)
    padded = tf.concat([sizes, [-1] * (declared.rank + 1)], axis=0)
    rest = padded[1 : declared.rank + 1]
    fits = (padded[0] >= 0) & tf.reduce_all(rest == [*declared[1:], -1])
    axes = ", ".join(["batch", *map(str, declared[1:])])
    check = _require(fits, f"`{name}` must have the shape ({axes}).", sizes)
    with tf.control_dependencies([check]):
        return tf.identity(tensor)


def _require(
    condition: tf.Tensor, what: str, received: tf.Tensor
) -> tf.Operation:
    return tf.debugging.Assert(condition, [f"{what} Received:", received], 10)


def write_warmup(path: Path) -> None:
    """Writes the requests that TensorFlow Serving answers before all others,
    one for each signature, so that no client waits for the first answer.

    https://www.tensorflow.org/tfx/serving/saved_model_warmup

    Args:
        path: The SavedModel, the folder that holds `saved_model.pb`.
    """
    from tensorflow_serving.apis import prediction_log_pb2

    image = np.zeros((1, *_RAW_SHAPE), "uint8")
    number = np.array([3], "int64")
    requests: dict[str, dict[str, np.ndarray]] = {
        "serving_default": model_inputs(image, number),
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

    return checked_model(
        path, run, _io_specs(inputs), _io_specs(outputs), info, task
    )


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
