"""Fused normalization is Keras's, also by the whole batch of all replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.distribution.normalization import fuse
from keras_mnist_sum.distribution.normalization import layers
from keras_mnist_sum.distribution.normalization import synchronize


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


@pytest.mark.parametrize("way", [fuse, synchronize])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(8, 3), (4, 5, 5, 3)])
def test_normalizes_as_keras_does(messages, shape, dtype, way):
    random = np.random.default_rng(0)
    inputs = tf.Variable(random.normal(3, 2, shape), dtype=dtype)
    scale, offset = random.normal(1, 0.2, (2, shape[-1]))
    results, sent = [], []
    for ours in (False, True):
        layer = keras.layers.BatchNormalization(
            dtype=dtype, synchronized=not ours
        )
        layer.build(shape)
        layer.gamma.assign(scale)
        layer.beta.assign(offset)
        if ours:
            way(layer)
        with tf.GradientTape() as tape:
            outputs = layer(inputs, training=True)
            loss = tf.reduce_sum(outputs**3)
        variables = [inputs, layer.gamma.value, layer.beta.value]
        gradients = tape.gradient(loss, variables)
        averages = [layer.moving_mean, layer.moving_variance]
        later = layer(inputs, training=False)
        results.append(
            [
                keras.ops.cast(x, "float64")
                for x in (outputs, later, *gradients, *averages)
            ]
        )
        sent.append(len(messages))
        messages.clear()
    # Forward and back. Later Keras may need no help.
    assert sent == [6, 2 if way is synchronize else 0]
    limit = {"float64": 1e-9, "float32": 1e-3, "bfloat16": 0.1}[dtype]
    for expected, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=limit, atol=limit)


def test_replicas_on_gpus_keep_operations_that_are_deterministic(monkeypatch):
    """TensorFlow has none fused: pull/50505."""
    layer = keras.layers.BatchNormalization()
    monkeypatch.setattr(
        tf.config, "get_visible_devices", lambda kind: [f"{kind}:0"]
    )
    synchronize(layer)
    images = tf.ones((4, 5, 5, 3))
    run = tf.function(lambda: layer(images, training=True))
    graph = run.get_concrete_function().graph
    assert not [x for x in graph.get_operations() if "Fused" in x.type]


def test_a_layer_of_another_class_keeps_its_own_call():
    class Tenfold(keras.layers.BatchNormalization):
        def call(self, inputs, **named):
            return 10 * super().call(inputs, **named)

    images = np.random.default_rng(0).normal(size=(4, 5, 5, 3))
    layer = Tenfold()
    before = layer(images, training=True)
    fuse(layer)
    np.testing.assert_array_equal(layer(images, training=True), before)


def test_layers_of_a_model_within_a_model_are_found():
    inner = keras.Sequential(
        [keras.Input((4, 4, 2)), keras.layers.BatchNormalization()]
    )
    outer = keras.Sequential([inner, keras.layers.BatchNormalization()])
    assert len(layers(outer)) == 2


@pytest.mark.parametrize("way", [fuse, synchronize])
def test_what_a_layer_saves_does_not_change(way):
    layer = keras.layers.BatchNormalization()
    before = layer.get_config()
    way(layer)
    assert layer.get_config() == before
    assert "call" not in vars(layer.from_config(layer.get_config()))
