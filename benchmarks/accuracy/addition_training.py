"""How `addition.py` trains, and how it scores."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.augmentation import random_affine
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.pipeline import draw_seed
from keras_mnist_sum.data.pipeline import scale_pixels
from keras_mnist_sum.data.pipeline import without_autotuning
from keras_mnist_sum.models import addition
from keras_mnist_sum.training.optimization import let_kernels_decay
from keras_mnist_sum.training.optimization import make_optimizer
from keras_mnist_sum.utils import environment

WARPS = ("rotation", "scale", "shear", "shift")
_DEFAULT = presets.get("residual").config
CONFIGS = {
    "lenet": dataclasses.replace(
        _DEFAULT,
        optimizer="adamw",  # without decay: Adam
        weight_decay=0.0,
        learning_rate=1e-3,
        beta_2=0.999,
        schedule="constant",
        epochs=20,
        batch_size=16,
        precision="float32",
        **dict.fromkeys(WARPS, 0.0),
    ),
    "residual": dataclasses.replace(_DEFAULT, optimizer="adamw", epochs=4),
}
USED = (  # of a config
    *("steps", "batch_size", "precision", "optimizer", "learning_rate"),
    *("schedule", "warmup_fraction", "final_rate_fraction"),
    *("beta_1", "beta_2", "weight_decay", *WARPS, "warp_fade_fraction"),
)
FIRST_STEPS = 300  # of 16 first columns
STEPS_AT_ONCE = 25  # in one call of TensorFlow


def recipe(
    network: str, digits: int, sums: int, epochs: float | None = None
) -> Config:
    """What is fixed before an image is seen.

    Args:
        network: Of `CONFIGS`.
        digits: Of a number.
        sums: Number of training examples.
        epochs: Passes over them, if not the usual number.

    Returns:
        A config whose batch size counts sums, not images.
    """
    config = CONFIGS[network]
    if network == "residual":  # about as many images as the default run
        fast = environment.multiplies_bfloat16()
        config = dataclasses.replace(
            config,
            batch_size=max(config.batch_size // (2 * digits), 1),
            precision="bfloat16" if fast else "float32",
        )
    config = dataclasses.replace(config, epochs=epochs or config.epochs)
    return config.with_steps(sums)


def make_examples(
    labels: np.ndarray, digits: int, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of numbers, as many as there are images for.

    Args:
        labels: Integer array of shape `(images,)`.
        digits: Of a number.
        order: A permutation of the images.

    Returns:
        Indices of images, `(sums, 2, digits)`, and the digits of each sum,
        `(sums, digits + 1)`.
    """
    count = len(order) // (2 * digits)
    index = order[: count * 2 * digits].reshape(count, 2, digits)
    return index, addition.add_digits(labels[index].astype("int32"))


def train(
    config: Config, network: str, start: str, mnist: Mnist, digits: int
) -> keras.Model:
    """Trains a model of `models/addition.py` on sums alone."""
    keras.utils.clear_session()  # of the seed before
    keras.utils.set_random_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    order = rng.permutation(len(mnist.train_labels))
    index, sums = make_examples(mnist.train_labels, digits, order)
    mixed = config.precision != "float32"
    keras.config.set_dtype_policy("mixed_bfloat16" if mixed else "float32")
    model = addition.build_adder(digits, network)
    loss = addition.negative_log_probability
    if start == "first":
        column = addition.build_adder(1, network)
        column.get_layer("reader").set_weights(model.get_weights())
        first = dataclasses.replace(
            CONFIGS["lenet"], steps=FIRST_STEPS, epochs=None, seed=config.seed
        )
        examples = index[:, :, :1], sums[:, :2]
        # Of a number with one digit, no carry is unknown.
        its_loss = addition.first_column_loss if digits > 1 else loss
        _fit(column, its_loss, first, mnist, examples, rng)
        model.get_layer("reader").set_weights(column.get_weights())
    keras.config.set_dtype_policy("float32")
    _fit(model, loss, config, mnist, (index, sums), rng)
    return model


def _fit(
    model: keras.Model,
    loss: Callable,
    config: Config,
    mnist: Mnist,
    examples: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> None:
    """Every epoch is a permutation of its own of all examples."""
    needed, count = config.steps * config.batch_size, len(examples[0])
    epochs = -(-needed // count)
    order = np.concatenate([rng.permutation(count) for _ in range(epochs)])
    order = order[:needed].reshape(config.steps, config.batch_size)
    optimizer = make_optimizer(config)
    let_kernels_decay(optimizer, model)
    trained = keras.Model(model.input, model.output["digits"])
    trained.compile(optimizer, loss, steps_per_execution=STEPS_AT_ONCE)
    data = _batches(config, mnist.train_images, examples, order)
    trained.fit(data, shuffle=False, verbose=0)


def _batches(
    config: Config, images: np.ndarray, examples: tuple, order: np.ndarray
) -> tf.data.Dataset:
    """Numbers and sums of each step, warped as in a run of `train.py`."""
    pixels, index, sums = map(tf.constant, (images, *examples))
    warps = {name: getattr(config, name) for name in WARPS}

    def batch(step: tf.Tensor, chosen: tf.Tensor) -> tuple:
        numbers = tf.gather(index, chosen)  # (batch, 2, digits)
        flat = scale_pixels(tf.gather(pixels, tf.reshape(numbers, [-1])))
        if any(warps.values()):
            left = tf.cast(config.steps - step, tf.float32) / config.steps
            strength = tf.minimum(left / config.warp_fade_fraction, 1.0)
            faded = {name: strength * x for name, x in warps.items()}
            seed = draw_seed(config.seed, 1, step)
            flat = random_affine(flat, seed, **faded)
        shape = tf.concat([tf.shape(numbers), [28, 28, 1]], axis=0)
        return tf.reshape(flat, shape), tf.gather(sums, chosen)

    steps = tf.data.Dataset.from_tensor_slices((np.arange(len(order)), order))
    dataset = steps.map(batch, num_parallel_calls=2).prefetch(4)
    return without_autotuning(dataset)


def score(model: keras.Model, mnist: Mnist, digits: int) -> dict[str, float]:
    """Whole sums and single digits that are right, in percent."""
    labels = mnist.test_labels
    index, sums = make_examples(labels, digits, np.arange(len(labels)))
    images = np.array(scale_pixels(mnist.test_images))[index]
    answers = model.predict(images, max(500 // digits, 1), verbose=0)
    right = {
        "sum": np.all(answers["sum"] == sums, axis=1),
        "digit": answers["digits"].argmax(-1) == labels[index],
        # No other sum can be more probable.
        "surely_most_probable": answers["probability"] > 0.5,
    }
    return {name: round(100 * float(x.mean()), 3) for name, x in right.items()}
