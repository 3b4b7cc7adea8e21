"""Small sums over all replicas, in one exchange of messages."""

import itertools
from typing import Any

import tensorflow as tf

# TensorFlow numbers its own groups of devices from 1.
_GROUP = 2**30
_sums = itertools.count()


@tf.autograph.experimental.do_not_convert
@tf.custom_gradient
def sum_over_replicas(values: tf.Tensor) -> Any:
    """The sum of what all replicas have, the same bits in each.

    Call it in a replica's part of a `tf.function`, which all workers must trace
    in the same order.

    Workers with processors alone send each other their values, and each adds
    them up: a ring would pass partial sums around, and then the whole ones.
    And a sum keeps the key by which it is known from step to step, where
    TensorFlow's own has workers ask the first one about a new key each time.

    Args:
        values: Of the same shape and dtype in all replicas.
    """
    context = tf.distribute.get_replica_context()
    strategy = context.strategy
    kind = tf.distribute.MultiWorkerMirroredStrategy
    if isinstance(strategy, kind) and not tf.config.get_visible_devices("GPU"):
        everywhere = tf.raw_ops.CollectiveGatherV2(
            input=values[tf.newaxis],
            group_size=strategy.num_replicas_in_sync,
            group_key=_GROUP,
            instance_key=next(_sums),
            ordering_token=[],
        )
        total = tf.reduce_sum(everywhere, axis=0)
    else:
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, values)
    return total, sum_over_replicas
