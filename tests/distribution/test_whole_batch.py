"""Normalization by the whole batch is Keras's, in one message."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.distribution.whole_batch import synchronize


@pytest.fixture
def messages(monkeypatch):
    """Counts what replicas tell each other."""
    sent = []
    kind = type(tf.distribute.get_replica_context())
    all_reduce = kind.all_reduce

    def counted(context, operation, value):
        sent.append(value)
        return all_reduce(context, operation, value)

    monkeypatch.setattr(kind, "all_reduce", counted)
    return sent


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(8, 3), (4, 5, 5, 3)])
def test_normalizes_as_keras_does_with_one_message(messages, shape, dtype):
    data = np.random.default_rng(0).normal(3, 2, shape)
    inputs = tf.Variable(data, dtype=dtype)
    results, sent = [], []
    for ours in (False, True):
        layer = keras.layers.BatchNormalization(
            dtype=dtype, synchronized=not ours
        )
        if ours:
            synchronize(layer)
        with tf.GradientTape() as tape:
            outputs = layer(inputs, training=True)
            loss = tf.reduce_sum(outputs**3)
        gradient = tape.gradient(loss, inputs)
        averages = [layer.moving_mean, layer.moving_variance]
        results.append(
            [keras.ops.cast(x, "float64") for x in (outputs, gradient)]
            + [x.numpy() for x in averages]
        )
        sent.append(len(messages))
        messages.clear()
    assert sent == [6, 2]  # Forward and back. Later Keras may need no help.
    limit = {"float64": 1e-9, "float32": 1e-3, "bfloat16": 0.1}[dtype]
    for expected, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=limit, atol=limit)


def test_what_a_layer_saves_does_not_change():
    layer = keras.layers.BatchNormalization()
    before = layer.get_config()
    synchronize(layer)
    assert layer.get_config() == before
