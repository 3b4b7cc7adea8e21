"""Variables of which each replica has a value of its own: metrics, which are
summed up where they are read.

A sum alone does not bring them back: two sums of other numbers round otherwise.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Of these there are sums on every device, by every way there is.
_SUMMED = (tf.float32, tf.float64, tf.int64)


def read(model: keras.Model, variables: list[Any]) -> list[np.ndarray]:
    """Reads what each replica has. All workers must call this together.

    Args:
        model: Whose variables these are.
        variables: Of any dtypes.

    Returns:
        For each, an array of shape `(replicas, *variable.shape)`.
    """
    strategy = strategy_of(model)
    if strategy is None or not variables:
        return [keras.ops.convert_to_numpy(x)[np.newaxis] for x in variables]
    replicas = strategy.num_replicas_in_sync

    def everywhere() -> list[tf.Tensor]:
        context = tf.distribute.get_replica_context()
        mine = tf.range(replicas) == context.replica_id_in_sync_group
        summands: dict[tf.DType, dict[int, tf.Tensor]] = {}
        for index, variable in enumerate(variables):
            here = tf.convert_to_tensor(variable)[tf.newaxis]
            if here.dtype not in _SUMMED:
                wide = tf.float32 if here.dtype.is_floating else tf.int64
                here = tf.cast(here, wide)
            axes = (-1, *[1] * (here.shape.rank - 1))
            row = tf.where(tf.reshape(mine, axes), here, tf.zeros_like(here))
            summands.setdefault(here.dtype, {})[index] = row
        sums: dict[int, tf.Tensor] = {}
        for rows in summands.values():  # One dtype is one message.
            sums |= context.all_reduce(tf.distribute.ReduceOp.SUM, rows)
        return [sums[index] for index in range(len(variables))]

    values = tf.function(lambda: run_alike(strategy, everywhere))()
    return [
        tf.cast(value, variable.dtype).numpy()
        for value, variable in zip(values, variables, strict=True)
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


def run_alike(
    strategy: tf.distribute.Strategy, function: Callable, *arguments: Any
) -> Any:
    """What each replica gives, which is the same for all."""
    return tf.nest.map_structure(
        lambda x: strategy.experimental_local_results(x)[0],
        strategy.run(function, arguments),
    )


def strategy_of(model: keras.Model) -> tf.distribute.Strategy | None:
    """That of a model on several replicas; `None` for one on a single one."""
    strategy = getattr(model, "distribute_strategy", None)  # TensorFlow's
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return None
    return strategy
