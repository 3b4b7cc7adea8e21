"""Batch normalization with the statistics of the whole batch, of all replicas,
at the cost of one message."""

import functools
from typing import Any

import keras
import tensorflow as tf


def synchronize(layer: keras.layers.BatchNormalization) -> None:
    """Has the layer normalize by what all replicas see together.

    As Keras's `synchronized=True`, which sums up three times where this does so
    once; so do the gradients. What the layer saves does not change.
    """
    layer._moments = functools.partial(_moments, layer)


def _moments(
    layer: keras.layers.BatchNormalization, inputs: tf.Tensor, mask: Any
) -> tuple[tf.Tensor, ...]:
    """Mean and variance, each `(channels,)`; in float32 for narrower types."""
    context = tf.distribute.get_replica_context()
    if context is None or mask is not None:
        return type(layer)._moments(layer, inputs, mask)
    axes = layer._reduction_axes
    narrow = inputs.dtype.size < 4
    values = tf.cast(inputs, tf.float32) if narrow else inputs
    sums = [tf.reduce_sum(x, axes) for x in (values, tf.square(values))]
    count = tf.cast(tf.size(values) / tf.size(sums[0]), values.dtype)
    sums = context.all_reduce(
        tf.distribute.ReduceOp.SUM, tf.concat([*sums, [count]], axis=0)
    )
    mean, mean_square = tf.split(sums[:-1] / sums[-1], 2)
    variance = tf.maximum(mean_square - tf.square(mean), 0)
    if not narrow:
        return mean, variance
    most = tf.float16.max  # As Keras has it, also for bfloat16.
    return tuple(
        tf.cast(tf.clip_by_value(x, -most, most), inputs.dtype)
        for x in (mean, variance)
    )
