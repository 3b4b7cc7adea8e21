"""Batch normalization in training: fused on one device, and with the
statistics of the whole batch where several replicas share it.

What a layer saves does not change.
"""

import functools
from typing import Any

import keras
import tensorflow as tf


def layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Those of `model`, also of models within it."""
    kind = keras.layers.BatchNormalization
    return [x for x in model._flatten_layers() if isinstance(x, kind)]


def fuse(layer: keras.layers.BatchNormalization) -> None:
    """Has the layer normalize images by one operation of TensorFlow, forward
    and back, where Keras composes it of some thirty."""
    # One of another class may compute something else.
    if type(layer).call is keras.layers.BatchNormalization.call:
        layer.call = functools.partial(_call, layer)


def synchronize(layer: keras.layers.BatchNormalization) -> None:
    """Has the layer normalize by what all replicas see together.

    As Keras's `synchronized=True`, which sums up three times where this does so
    once; so do the gradients.
    """
    layer._moments = functools.partial(_moments, layer)


def _call(
    layer: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    training: bool | None = None,
    mask: Any = None,
) -> tf.Tensor:
    """What the layer's own `call` computes."""
    learns = training and layer.trainable
    is_plain = layer.scale and layer.center and not layer.renorm
    is_image = inputs.shape.rank == 4 and layer.axis in (3, -1)
    if (
        not (learns and is_plain and is_image)
        or mask is not None
        or layer.synchronized
        or inputs.dtype == tf.float64  # It is not fused.
    ):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    fused = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.cast(layer.gamma, "float32"),
        offset=tf.cast(layer.beta, "float32"),
        mean=[],
        variance=[],
        epsilon=layer.epsilon,
    )
    # Its variance has a factor of n / (n - 1) for n values.
    count = tf.cast(tf.size(inputs) / inputs.shape[-1], "float32")
    variance = fused.batch_variance * (1 - 1 / count)
    kept = layer.momentum
    for moving, value in (
        (layer.moving_mean, fused.batch_mean),
        (layer.moving_variance, variance),
    ):
        value = tf.cast(value, moving.dtype)
        moving.assign(moving * kept + value * (1.0 - kept))
    return tf.cast(fused.y, layer.compute_dtype)


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
