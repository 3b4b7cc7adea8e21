"""Batch normalization in training: fused on one device, and with the
statistics of the whole batch where several replicas share it.

What a layer saves does not change.
"""

import functools
from typing import Any

import keras
import tensorflow as tf

from keras_mnist_sum.distribution.sums import sum_over_replicas


def layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Those of `model`, also of models within it."""
    kind = keras.layers.BatchNormalization
    return [x for x in model._flatten_layers() if isinstance(x, kind)]


def fuse(
    layer: keras.layers.BatchNormalization, together: bool = False
) -> None:
    """Has the layer normalize images by one operation of TensorFlow, forward
    and back, where Keras composes it of some thirty; `together` with all
    replicas, by a few."""
    # One of another class may compute something else.
    if type(layer).call is keras.layers.BatchNormalization.call:
        layer.call = functools.partial(_call, layer, together=together)


def synchronize(layer: keras.layers.BatchNormalization) -> None:
    """Has the layer normalize by what all replicas see together.

    As Keras's `synchronized=True`, which sums up three times where this does so
    once; so do the gradients. CPUs normalize images by fused operations.
    """
    layer._moments = functools.partial(_moments, layer)
    # GPUs have no deterministic gradient with statistics that are given:
    # https://github.com/tensorflow/tensorflow/pull/50505
    if not tf.config.get_visible_devices("GPU"):
        fuse(layer, together=True)


def _call(
    layer: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    training: bool | None = None,
    mask: Any = None,
    *,
    together: bool,
) -> tf.Tensor:
    """What the layer's own `call` computes; `together` with all replicas."""
    learns = training and layer.trainable
    is_plain = layer.scale and layer.center and not layer.renorm
    is_image = inputs.shape.rank == 4 and layer.axis in (3, -1)
    if (
        not (learns and is_plain and is_image)
        or mask is not None
        or layer.synchronized
        or inputs.dtype == tf.float64  # It is not fused.
        or (together and tf.distribute.get_replica_context() is None)
    ):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    scale, offset = (tf.cast(x, "float32") for x in (layer.gamma, layer.beta))
    normalize = _fused_together if together else _fused
    outputs, mean, variance = normalize(inputs, scale, offset, layer.epsilon)
    kept = layer.momentum
    for moving, value in (
        (layer.moving_mean, mean),
        (layer.moving_variance, variance),
    ):
        value = tf.cast(value, moving.dtype)
        moving.assign(moving * kept + value * (1.0 - kept))
    return tf.cast(outputs, layer.compute_dtype)


def _fused(
    inputs: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The outputs, and mean and variance of each channel."""
    fused = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=scale,
        offset=offset,
        mean=[],
        variance=[],
        epsilon=epsilon,
    )
    # Its variance has a factor of n / (n - 1) for n values.
    count = _count(inputs)
    return fused.y, fused.batch_mean, fused.batch_variance * (1 - 1 / count)


def _fused_together(
    inputs: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """As `_fused`, for the batch of all replicas: one sum over them, and
    another one for the gradients."""

    @tf.autograph.experimental.do_not_convert
    @tf.custom_gradient
    def normalize(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> Any:
        _, mean, variance = _fused(x, scale, offset, epsilon)
        count = _count(x)
        sums = [count * x for x in (mean, variance + tf.square(mean))]
        mean, variance, count = _whole_batch(sums, count)
        known = {"epsilon": epsilon, "is_training": False}
        statistics = {"mean": mean, "variance": variance}
        outputs = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=scale, offset=offset, **statistics, **known
        ).y

        def gradient(upstream: tf.Tensor, *_: tf.Tensor) -> Any:
            # With the statistics held, then through them: equation 3 of Ioffe
            # and Szegedy, https://arxiv.org/abs/1502.03167.
            held = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=upstream,
                x=x,
                scale=scale,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=[0.0],
                **known,
            )
            here = (held.scale_backprop, held.offset_backprop)
            sums = sum_over_replicas(tf.concat(here, axis=0))
            factor = -scale * tf.math.rsqrt(variance + epsilon) / count
            by_scale, by_offset = (factor * x for x in tf.split(sums, 2))
            through = tf.raw_ops.FusedBatchNormV3(
                x=x, scale=by_scale, offset=by_offset, **statistics, **known
            ).y
            return held.x_backprop + through, *here

        return (outputs, mean, variance), gradient

    return normalize(inputs, scale, offset)


def _count(inputs: tf.Tensor) -> tf.Tensor:
    """Of the values of a channel, float32."""
    return tf.cast(tf.size(inputs) / inputs.shape[-1], "float32")


def _whole_batch(
    sums: list[tf.Tensor], count: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Mean, variance and number of all replicas' values, of the sums of this
    one's values and of their squares.

    As Keras's `synchronized=True`, it loses digits where the mean is much
    larger than the deviation.
    """
    total = sum_over_replicas(tf.concat([*sums, [count]], axis=0))
    mean, mean_square = tf.split(total[:-1] / total[-1], 2)
    return mean, tf.maximum(mean_square - tf.square(mean), 0), total[-1]


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
    mean, variance, _ = _whole_batch(sums, count)
    if not narrow:
        return mean, variance
    most = tf.float16.max  # As Keras has it, also for bfloat16.
    return tuple(
        tf.cast(tf.clip_by_value(x, -most, most), inputs.dtype)
        for x in (mean, variance)
    )
