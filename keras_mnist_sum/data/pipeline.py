"""The `tf.data` pipeline: MNIST zipped with sampled integers.

Batch `k` of a run is a function of its config, its data and `k`: no shuffle
buffer, no generator state. A pipeline that starts at step `k` therefore yields
what one that started at 0 would yield from there on.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.augmentation import AUGMENTATIONS
from keras_mnist_sum.data.examples import as_examples
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.presets import as_config
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.utils.arguments import as_integer

# Streams of random draws, beside those of `AUGMENTATIONS`: two never share a
# seed.
SHUFFLE, NUMBER, VALIDATION_NUMBER = 0, 2, 3

# No loop or branch below depends on a tensor, so there is nothing to translate;
# looking for some would take most of the time that making a dataset does.
_as_it_is = tf.autograph.experimental.do_not_convert


def training_dataset(
    images: Any,
    labels: Any,
    config: Config,
    start_step: int = 0,
    part: slice = slice(None),
) -> tf.data.Dataset:
    """Batches `start_step` to `config.steps - 1` of a training run.

    Every epoch is a permutation of its own of all images, with numbers and
    warps drawn anew; batches run across the border of two epochs, so that no
    image is left out and all batches are full.

    Args:
        images: What `examples.as_images` takes.
        labels: What `examples.as_labels` takes.
        config: Its `seed`, `batch_size`, `steps` or `epochs`, `task`, `head`
            and augmentations are used.
        start_step: The first batch to yield.
        part: The examples of each batch to yield. Nothing is computed for the
            others but their random draws.

    Returns:
        A dataset of `(inputs, targets)`: `inputs` holds `image`, float32
        `(batch, 28, 28, 1)` in 0-1, and `number`, float32 one-hot
        `(batch, 10)`; `targets` holds for each output of the task int64
        classes `(batch,)`, or, for the head `regression` and all outputs but
        `digit`, float32 values `(batch, 1)`.

    Raises:
        InputError: If the arrays do not fit this description, hold fewer
            images than a batch, or `start_step` is negative.
    """
    images, labels = as_examples(images, labels)
    config = as_config(config).with_steps(len(images))
    check_batch_size(config.batch_size, len(images))
    start_step = as_integer(start_step, "start_step", 0, 10**9)
    if not isinstance(part, slice):
        raise InputError(
            f"`part` must be a `slice`. Received: part={shown(part)}"
        )
    pixels, digits = tf.constant(images), tf.constant(labels, tf.int64)

    @_as_it_is
    def image_batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        index = _shuffled(step, config.batch_size, len(images), config.seed)
        index = index[part]
        batch = scale_pixels(tf.gather(pixels, index))
        strength = _warp_strength(step, config)
        for stream, (augment, names) in AUGMENTATIONS.items():
            settings = {name: getattr(config, name) for name in names}
            if any(settings.values()):
                batch = augment(
                    batch,
                    draw_seed(config.seed, stream, step),
                    batch_size=config.batch_size,
                    part=part,
                    **{name: strength * x for name, x in settings.items()},
                )
        return batch, tf.gather(digits, index)

    @_as_it_is
    def number_batch(step: tf.Tensor) -> tf.Tensor:
        seed = draw_seed(config.seed, NUMBER, step)
        return _draw_numbers(config.batch_size, seed)[part]

    steps = tf.data.Dataset.range(start_step, config.steps)
    dataset = _with_targets(
        steps.map(image_batch, num_parallel_calls=2),
        steps.map(number_batch),
        config,
    )
    return without_autotuning(dataset.prefetch(4))


def validation_dataset(
    images: Any, labels: Any, config: Config
) -> tf.data.Dataset:
    """Every validation image once, unwarped, each with one number.

    The numbers are drawn from `config.seed` and are the same in every epoch,
    so that epochs compare. The last batch may be smaller.

    Args:
        images: What `examples.as_images` takes.
        labels: What `examples.as_labels` takes.
        config: Its `seed`, `task` and `head` are used.

    Returns:
        A dataset of `(inputs, targets)` as in `training_dataset`.

    Raises:
        InputError: If the arrays do not fit this description.
    """
    config = as_config(config)
    images, labels = as_examples(images, labels)
    seed = draw_seed(config.seed, VALIDATION_NUMBER, 0)
    mnist = tf.data.Dataset.from_tensor_slices((images, labels.astype("int64")))
    numbers = tf.data.Dataset.from_tensor_slices(
        _draw_numbers(len(images), seed)
    )
    mnist = mnist.batch(500).map(
        _as_it_is(lambda images, digits: (scale_pixels(images), digits))
    )
    dataset = _with_targets(mnist, numbers.batch(500), config)
    return without_autotuning(dataset.cache())


def batch(
    mnist: Mnist, config: Config, step: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The batch that a run with `config` trains on in its step `step`.

    Args:
        mnist: The data.
        config: The run's.
        step: From 0 to `config.steps - 1`.

    Returns:
        `(inputs, targets)`, as `training_dataset` yields them.

    Raises:
        InputError: If the run has no such step, or a batch needs more images
            than there are.
    """
    config = as_config(config)
    check_step(config, step)
    split = Mnist.of(mnist).split(config.validation_fraction)
    batches = training_dataset(split.images, split.labels, config, step)
    return next(batches.take(1).as_numpy_iterator())


def check_step(config: Config, step: int) -> None:
    """Checks that a run with `config` has a step `step`.

    Raises:
        InputError: If it has not.
    """
    as_integer(step, "step", 0, config.steps - 1)


def check_batch_size(batch_size: int, num_images: int) -> None:
    """Checks that a batch needs no image twice.

    Raises:
        InputError: If it does.
    """
    if batch_size > num_images:
        raise InputError(
            f"`batch_size` must be at most the {num_images} training images. "
            f"Received: batch_size={batch_size}"
        )


def scale_pixels(images: tf.Tensor) -> tf.Tensor:
    """What a model takes as `image`.

    Args:
        images: uint8 tensor of shape `(batch, 28, 28)`, 0-255.

    Returns:
        A float32 tensor of shape `(batch, 28, 28, 1)` in 0-1.
    """
    return tf.cast(tf.reshape(images, (-1, *IMAGE_SHAPE)), tf.float32) / 255.0


def _with_targets(
    mnist: tf.data.Dataset, numbers: tf.data.Dataset, config: Config
) -> tf.data.Dataset:
    """Zips batches of `(image, digit)` with batches of numbers."""
    tables = {name: output.table for name, output in config.task.items()}
    if config.head == "regression":
        for name, output in config.task.items():
            if name != "digit":  # It has classes all the same.
                values = output.pair_values.astype("float32")
                tables[name] = values[..., np.newaxis]  # (10, 10, 1)

    @_as_it_is
    def example(
        mnist: tuple[tf.Tensor, tf.Tensor], number: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        image, digit = mnist
        pair = tf.stack([digit, number], axis=1)  # (batch, 2)
        inputs = {"image": image, "number": tf.one_hot(number, NUM_DIGITS)}
        targets = {name: tf.gather_nd(x, pair) for name, x in tables.items()}
        return inputs, targets

    return tf.data.Dataset.zip(mnist, numbers).map(example)


def _shuffled(
    step: tf.Tensor, batch_size: int, num_images: int, seed: int
) -> tf.Tensor:
    """Indices of the images in batch `step`, int64 `(batch_size,)`."""
    position = step * batch_size + tf.range(batch_size, dtype=tf.int64)
    epoch, place = position // num_images, position % num_images
    last_index = tf.constant(num_images - 1, tf.int64)
    # A batch touches at most two epochs: it has no more images than an epoch.
    first, last = (
        tf.random.experimental.index_shuffle(
            place, draw_seed(seed, SHUFFLE, one), last_index
        )
        for one in (epoch[0], epoch[-1])
    )
    return tf.where(epoch == epoch[0], first, last)


def _warp_strength(step: tf.Tensor, config: Config) -> tf.Tensor:
    """1, falling to 0 over the last `warp_fade_fraction` of the steps."""
    left = tf.cast(config.steps - step, tf.float32) / config.steps
    return tf.minimum(left / max(config.warp_fade_fraction, 1e-9), 1.0)


def _draw_numbers(count: int, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform(
        (count,), seed, 0, NUM_DIGITS, dtype=tf.int64
    )


def draw_seed(seed: int, stream: int, step: tf.Tensor | int) -> tf.Tensor:
    """The seed of a stream's draws for one step, an integer tensor `(2,)`."""
    return tf.random.fold_in([seed, stream], step)


def without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns `dataset` with its buffers as they are, in a fixed order.

    The autotuner's thread would only delay the end of an iterator, which waits
    for it: it sleeps for up to a minute, the longer the older the iterator is.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)
