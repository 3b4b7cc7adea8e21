"""Variables of which each replica has a value of its own: metrics, which are
summed up where they are read.

A sum alone does not bring them back: two sums of other numbers round otherwise.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mnist_sum.distribution.sums import sum_over_replicas


def read(model: keras.Model, variables: list[Any]) -> list[np.ndarray]:
    """Reads what each replica has. All workers must call this together.

    Args:
        model: Whose variables these are.
        variables: All of one dtype.

    Returns:
        For each, an array of shape `(replicas, *variable.shape)`.
    """
    strategy = strategy_of(model)
    if strategy is None or not variables:
        return [keras.ops.convert_to_numpy(x)[np.newaxis] for x in variables]
    replicas = strategy.num_replicas_in_sync

    def everywhere() -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        here = [keras.ops.reshape(x, (-1,)) for x in variables]
        here = tf.concat(here, axis=0)[tf.newaxis]
        mine = tf.range(replicas) == context.replica_id_in_sync_group
        rows = tf.where(mine[:, tf.newaxis], here, tf.zeros_like(here))
        return sum_over_replicas(rows)

    everyone = tf.function(lambda: strategy.run(everywhere))()
    rows = strategy.experimental_local_results(everyone)[0].numpy()
    ends = np.cumsum([np.prod(x.shape, dtype=int) for x in variables])
    return [
        part.reshape(replicas, *variable.shape)
        for part, variable in zip(
            np.split(rows, ends[:-1], axis=1), variables, strict=True
        )
    ]


def assign(
    model: keras.Model, variables: list[Any], arrays: list[np.ndarray]
) -> None:
    """Assigns what `read` returned; with another number of replicas, the sums
    to the first one. All workers must call this together."""
    strategy = strategy_of(model)
    if strategy is None or not variables:
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array.sum(axis=0))
        return
    replicas = strategy.num_replicas_in_sync
    first = np.eye(replicas)[0]
    arrays = [
        x
        if len(x) == replicas
        else np.multiply.outer(first, x.sum(axis=0)).astype(x.dtype)
        for x in arrays
    ]

    def everywhere() -> None:
        context = tf.distribute.get_replica_context()
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(tf.gather(array, context.replica_id_in_sync_group))

    tf.function(lambda: strategy.run(everywhere))()


def strategy_of(model: keras.Model) -> tf.distribute.Strategy | None:
    """That of a model on several replicas; `None` for one on a single one."""
    strategy = getattr(model, "distribute_strategy", None)  # TensorFlow's
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return None
    return strategy
