"""What a SavedModel can be called by: its signatures.

`serving_default` is the model, `serve_raw` is for a client that knows nothing
of tensors, `serve` is the model for converters, and `all_numbers` is for
scoring.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_mnist_sum.data.pipeline import scale_pixels
from keras_mnist_sum.models.build import task_of
from keras_mnist_sum.models.cut import AllNumbers
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import INPUT_SHAPES
from keras_mnist_sum.task import NUM_DIGITS

RAW_SHAPE = IMAGE_SHAPE[:2] if IMAGE_SHAPE[2] == 1 else IMAGE_SHAPE


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
    """The signatures of a model, by name.

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

    `all_numbers` takes `image` as `serving_default` does, and gives each output
    for each number 0-9, `(batch, 10, classes)`: what depends on the image alone
    is computed once. It refuses nothing, either.

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
        return model({"image": image, "number": number}, training=False)

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
            },
            training=False,
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
            tf.TensorSpec((None, *RAW_SHAPE), tf.uint8, "image"),
            tf.TensorSpec((None,), tf.int64, "number"),
        ),
        "serve": plain_signature(model),
        "all_numbers": _all_numbers(model),
    }


def _all_numbers(model: keras.Model) -> Callable:
    try:
        answer: Callable = AllNumbers(model)
    except ValueError:
        answer = _pair_by_pair(model)

    @tf.function
    def all_numbers(image: tf.Tensor) -> dict:
        return answer(image)

    return all_numbers.get_concrete_function(input_specs()["image"])


def _pair_by_pair(model: keras.Model) -> Callable:
    def answer(image: tf.Tensor) -> dict:
        count = tf.shape(image)[0]
        pairs = {
            "image": tf.repeat(image, NUM_DIGITS, axis=0),
            "number": tf.tile(tf.eye(NUM_DIGITS), (count, 1)),
        }
        return {
            name: tf.reshape(x, (count, NUM_DIGITS, x.shape[-1]))
            for name, x in model(pairs, training=False).items()
        }

    return answer


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
