"""The `tf.data` pipeline: MNIST zipped with sampled integers.

Batch `k` of a run is a function of its config, its data and `k`: no shuffle
buffer, no generator state. A pipeline that starts at step `k` therefore yields
what one that started at 0 would yield from there on.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import augmentation
from keras_mnist_sum.data.sources import check_examples
from keras_mnist_sum.errors import InputError

# One stream of random draws each: two streams never share a seed.
_SHUFFLE, _WARP, _NUMBER, _VALIDATION_NUMBER, _ELASTIC = range(5)

# No loop or branch below depends on a tensor, so there is nothing to translate;
# looking for some would take most of the time that making a dataset does.
_as_it_is = tf.autograph.experimental.do_not_convert


def training_dataset(
    images: np.ndarray,
    labels: np.ndarray,
    config: Config,
    start_step: int = 0,
    part: slice = slice(None),
) -> tf.data.Dataset:
    """Batches `start_step` to `config.steps - 1` of a training run.

    Every epoch is a permutation of its own of all images, with numbers and
    warps drawn anew; batches run across the border of two epochs, so that no
    image is left out and all batches are full.

    Args:
        images: uint8 array of shape `(examples, 28, 28)`, values 0-255.
        labels: Integer array of shape `(examples,)`, values 0-9.
        config: Its `seed`, `batch_size`, `steps`, `difference`, `head` and
            ranges of augmentation are used.
        start_step: The first batch to yield.
        part: The examples of each batch to yield. Nothing is computed for the
            others but their random draws.

    Returns:
        A dataset of `(inputs, targets)`: `inputs` holds `image`, float32
        `(batch, 28, 28, 1)` in 0-1, and `number`, float32 one-hot
        `(batch, 10)`; `targets` holds `digit`, `sum` and `difference`, int64
        classes `(batch,)`, but float32 values `(batch, 1)` of `sum` and
        `difference` for the head `regression`.

    Raises:
        InputError: If the arrays do not fit this description, hold fewer
            images than a batch, or `start_step` is negative.
    """
    check_examples(images, labels)
    check_batch_size(config.batch_size, len(images))
    if start_step < 0:
        raise InputError(
            f"`start_step` must not be negative. Received: {start_step}"
        )
    all_images = tf.constant(images[..., np.newaxis])
    all_labels = tf.constant(labels, tf.int64)
    affine = any((config.rotation, config.scale, config.shear, config.shift))

    @_as_it_is
    def image_batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        index = _epoch_shuffle(
            step, config.batch_size, len(images), config.seed
        )[part]
        batch = tf.cast(tf.gather(all_images, index), tf.float32) / 255.0
        strength = _warp_strength(step, config)
        if affine:
            batch = augmentation.random_affine(
                batch,
                _seed(config.seed, _WARP, step),
                rotation=strength * config.rotation,
                scale=strength * config.scale,
                shear=strength * config.shear,
                shift=strength * config.shift,
                batch_size=config.batch_size,
                part=part,
            )
        if config.elastic:
            batch = augmentation.random_elastic(
                batch,
                _seed(config.seed, _ELASTIC, step),
                displacement=strength * config.elastic,
                batch_size=config.batch_size,
                part=part,
            )
        return batch, tf.gather(all_labels, index)

    @_as_it_is
    def number_batch(step: tf.Tensor) -> tf.Tensor:
        seed = _seed(config.seed, _NUMBER, step)
        return _numbers(config.batch_size, seed)[part]

    steps = tf.data.Dataset.range(start_step, config.steps)
    mnist = steps.map(image_batch, num_parallel_calls=2)
    numbers = steps.map(number_batch)
    dataset = tf.data.Dataset.zip(mnist, numbers).map(_example(config))
    return without_autotuning(dataset.prefetch(4))


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


def validation_dataset(
    images: np.ndarray, labels: np.ndarray, config: Config
) -> tf.data.Dataset:
    """Every held-out image once, unwarped, each with one number.

    The numbers are drawn from `config.seed` and are the same in every epoch,
    so that epochs compare. The last batch may be smaller.

    Args:
        images: uint8 array of shape `(examples, 28, 28)`, values 0-255.
        labels: Integer array of shape `(examples,)`, values 0-9.
        config: Its `seed`, `difference` and `head` are used.

    Returns:
        A dataset of `(inputs, targets)` as in `training_dataset`.

    Raises:
        InputError: If the arrays do not fit this description.
    """
    check_examples(images, labels)
    mnist = tf.data.Dataset.from_tensor_slices(
        (images[..., np.newaxis], labels.astype("int64"))
    ).map(
        _as_it_is(
            lambda image, label: (tf.cast(image, tf.float32) / 255.0, label)
        )
    )
    numbers = tf.data.Dataset.from_tensor_slices(
        _numbers(len(images), _seed(config.seed, _VALIDATION_NUMBER, 0))
    )
    dataset = tf.data.Dataset.zip(mnist.batch(500), numbers.batch(500)).map(
        _example(config)
    )
    return without_autotuning(dataset.cache())


def _example(config: Config) -> Callable:
    outputs = task.outputs(config.difference)
    tables = {name: output.table for name, output in outputs.items()}
    if config.head == "regression":
        for name in ("sum", "difference"):
            values = outputs[name].truth[..., np.newaxis]  # (10, 10, 1)
            tables[name] = values.astype("float32")

    @_as_it_is
    def example(mnist: tuple, number: tf.Tensor) -> tuple[dict, dict]:
        image, digit = mnist
        pair = tf.stack([digit, number], axis=1)  # (batch, 2)
        inputs = {
            "image": image,
            "number": tf.one_hot(number, task.NUM_DIGITS),
        }
        targets = {
            name: tf.gather_nd(table, pair) for name, table in tables.items()
        }
        return inputs, targets

    return example


def _epoch_shuffle(
    step: tf.Tensor, batch_size: int, num_images: int, seed: int
) -> tf.Tensor:
    """Indices of the images in batch `step`, int64 `(batch_size,)`."""
    position = step * batch_size + tf.range(batch_size, dtype=tf.int64)
    epoch, place = position // num_images, position % num_images
    # A batch touches at most two epochs: it has no more images than an epoch.
    first, last = epoch[0], epoch[-1]

    def permuted(of_epoch: tf.Tensor) -> tf.Tensor:
        return tf.random.experimental.index_shuffle(
            place,
            _seed(seed, _SHUFFLE, of_epoch),
            tf.constant(num_images - 1, tf.int64),
        )

    return tf.where(epoch == first, permuted(first), permuted(last))


def _warp_strength(step: tf.Tensor, config: Config) -> tf.Tensor:
    """1, falling to 0 over the last `warp_fade_fraction` of the steps."""
    left = tf.cast(config.steps - step, tf.float32) / config.steps
    return tf.minimum(left / max(config.warp_fade_fraction, 1e-9), 1.0)


def _numbers(count: int, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform(
        (count,), seed, 0, task.NUM_DIGITS, dtype=tf.int64
    )


def _seed(seed: int, stream: int, step: tf.Tensor | int) -> tf.Tensor:
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
