"""Keras 3's `fit` across machines."""

import keras
import tensorflow as tf


class MultiWorkerModel(keras.Model):
    """A functional model that `fit` can train on several machines.

    Keras 3's own fails there, for two reasons, both mended here by methods
    that are private or not made for it, so Keras stays pinned:

    - Before the first step it averages a batch over all replicas, to learn
      its shape, and cannot average a nested one
      (https://github.com/keras-team/keras/issues/20585).
    - It averages the logs of a step over their first axis, and they have none
      (https://github.com/keras-team/keras/issues/20329).
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        for _, _, batches in iterator:
            data_batch = tf.nest.map_structure(
                lambda x: self.distribute_strategy.experimental_local_results(
                    x
                )[0],
                next(batches),
            )
            break
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    def train_step(self, data):
        return _with_an_axis(super().train_step(data))

    def test_step(self, data):
        return _with_an_axis(super().test_step(data))


def _with_an_axis(logs: dict) -> dict:
    return {name: tf.reshape(value, (1,)) for name, value in logs.items()}
