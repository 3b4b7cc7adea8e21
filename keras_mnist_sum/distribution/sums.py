"""Small sums over all replicas, in as few messages as can be."""

import itertools
from typing import Any

import tensorflow as tf

# TensorFlow counts its own groups of devices from 1.
_GROUP = 2**30
_keys = itertools.count()
_GATHERED = (tf.float16, tf.float32, tf.float64, tf.int32, tf.int64)


@tf.autograph.experimental.do_not_convert
@tf.custom_gradient
def sum_over_replicas(values: tf.Tensor, /) -> Any:
    """The sum of what all replicas have, the same bits in each.

    Call it in a replica's part of a `tf.function`. All workers must trace
    their sums in the same order: by its place in it a sum is known.

    Workers of one processor each pass their values around, and each adds them
    up: W - 1 messages one after the other for W workers, where a ring that sums
    takes twice as many, with less in each. And a sum keeps its key from step to
    step, where TensorFlow's own have a new one each time, about which workers
    ask the first one.

    Args:
        values: A tensor of the same shape and dtype in all replicas.
    """
    context = tf.distribute.get_replica_context()
    if _are_single_processors(context.strategy) and values.dtype in _GATHERED:
        size = context.num_replicas_in_sync
        total = tf.reduce_sum(gather(values, size, next(_keys)), axis=0)
    else:
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, values)
    return total, sum_over_replicas


def gather(values: tf.Tensor, size: int, key: int) -> tf.Tensor:
    """Everyone's values, `(size, *values.shape)`, in one order for all.

    Args:
        values: Of the same shape and dtype everywhere.
        size: How many take part, each on a device of its own.
        key: The same for all, and for nothing else at the same time.
    """
    return tf.raw_ops.CollectiveGatherV2(
        input=values[tf.newaxis],
        group_size=size,
        group_key=_GROUP + size,
        instance_key=key,
        ordering_token=[],
    )


def _are_single_processors(strategy: tf.distribute.Strategy) -> bool:
    """Whether the replicas are workers with a processor each. Several in one
    worker would trace a sum each, with keys that differ."""
    kind = tf.distribute.MultiWorkerMirroredStrategy
    return (
        isinstance(strategy, kind)
        and len(strategy.extended.worker_devices) == 1
        and not tf.config.get_visible_devices("GPU")
    )
