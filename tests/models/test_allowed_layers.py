"""Every layer that a model file may hold can be in one."""

import keras
import numpy as np
import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.keras_file import check_loadable
from keras_mnist_sum.models.allowed_layers import KERAS_LAYERS
from keras_mnist_sum.training.train import train
from tests.fixtures.networks import network

layers = keras.layers


def flat(image):
    """Layers for images."""
    x = layers.Normalization(mean=0.5, variance=2.0)(image)
    for change in (
        *(layers.RandomBrightness(0.1), layers.RandomContrast(0.1)),
        *(layers.RandomFlip(), layers.RandomRotation(0.1)),
        *(layers.RandomTranslation(0.1, 0.1), layers.RandomZoom(0.1)),
        layers.RandomCrop(26, 26),
        *(layers.CenterCrop(25, 25), layers.Resizing(12, 12)),
        *(layers.ZeroPadding2D(), layers.Cropping2D(), layers.UpSampling2D()),
    ):
        x = change(x)
    x = layers.Conv2D(
        4,
        3,
        kernel_initializer=keras.initializers.Orthogonal(0.5),
        kernel_regularizer=keras.regularizers.L2(1e-3),
        kernel_constraint=keras.constraints.MaxNorm(2),
        bias_initializer=keras.initializers.Constant(0.1),
    )(x)
    x = layers.Conv2DTranspose(4, 3, strides=2, bias_regularizer="l1")(x)
    for change in (
        *(layers.BatchNormalization(), layers.ActivityRegularization(l2=0.1)),
        *(layers.DepthwiseConv2D(3), layers.GroupNormalization(2)),
        *(layers.SeparableConv2D(4, 3), layers.LayerNormalization()),
        layers.SpectralNormalization(layers.Conv2D(4, 3)),
        *(layers.Activation("gelu"), layers.ReLU(), layers.LeakyReLU()),
        *(layers.PReLU(), layers.ELU(), layers.Softmax(), layers.Rescaling(2)),
        *(layers.RMSNormalization(), layers.UnitNormalization()),
        *(layers.SpatialDropout2D(0.1), layers.AlphaDropout(0.1)),
        *(layers.GaussianDropout(0.1), layers.GaussianNoise(0.1)),
        *(layers.MaxPooling2D(), layers.AveragePooling2D(2), layers.Identity()),
    ):
        x = change(x)
    both = layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)
    return layers.Concatenate()(both)


def rows(image):
    """Layers for sequences."""
    x = layers.Permute((2, 1))(layers.Reshape((28, 28))(image))
    for change in (
        *(layers.ZeroPadding1D(), layers.Cropping1D(2), layers.UpSampling1D()),
        *(layers.Conv1D(4, 3), layers.Conv1DTranspose(4, 3)),
        *(layers.DepthwiseConv1D(3), layers.SeparableConv1D(4, 3)),
        *(layers.MaxPooling1D(), layers.AveragePooling1D(2)),
        *(layers.SpatialDropout1D(0.1), layers.Dropout(0.1)),
        layers.TimeDistributed(layers.Dense(4)),
        layers.EinsumDense("abc,cd->abd", (None, 4)),
        layers.SimpleRNN(4, return_sequences=True),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
    ):
        x = change(x)
    x = layers.MultiHeadAttention(2, 2)(x, x)
    x = layers.GroupQueryAttention(2, 2, 1)(x, x)
    x = layers.AdditiveAttention()([layers.Attention(True)([x, x]), x])
    both = layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)
    for merge in (
        *(layers.Add(), layers.Average(), layers.Maximum(), layers.Minimum()),
        *(layers.Multiply(), layers.Subtract()),
    ):
        both = merge(both), both[1]
    seen = layers.Embedding(300, 2)(layers.Flatten()(image))
    seen = layers.GRU(4)(layers.MaxPooling1D(28)(seen))
    repeated = layers.Flatten()(layers.RepeatVector(3)(both[0]))
    return layers.Concatenate()([layers.Dot(1)(both), repeated, seen])


def volumes(image):
    """Layers for films, and for images and lines that are repeated."""
    x = layers.Reshape((7, 8, 14, 1))(image)
    for change in (
        *(layers.ZeroPadding3D(), layers.Cropping3D(), layers.UpSampling3D()),
        *(layers.Conv3D(2, 3), layers.Conv3DTranspose(2, 3)),
        *(layers.MaxPooling3D(), layers.AveragePooling3D((1, 2, 2))),
        layers.SpatialDropout3D(0.1),
    ):
        x = change(x)
    both = layers.GlobalAveragePooling3D()(x), layers.GlobalMaxPooling3D()(x)
    films = layers.ConvLSTM2D(2, 3)(layers.Reshape((2, 14, 28, 1))(image))
    lines = layers.ConvLSTM1D(2, 3)(layers.Reshape((4, 196, 1))(image))
    films, lines = layers.Flatten()(films), layers.Flatten()(lines)
    return layers.Concatenate()([*both, films, lines])


def in_models(image):
    """A model in a model, as a `Sequential`, that was compiled before."""
    encoder = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            layers.Conv2D(2, 3, strides=2, kernel_regularizer="l2"),
            layers.Conv2DTranspose(2, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ],
        name="encoder",
    )
    encoder.compile("adam", loss=lambda y, p: p)
    return encoder(image)


NETWORKS = [flat, rows, volumes, in_models]


def test_each_of_them_is_in_a_network_here():
    tried = {
        type(layer)
        for features in NETWORKS
        for layer in network(features)._flatten_layers()
    }
    assert {getattr(layers, name) for name in KERAS_LAYERS} <= tried


@pytest.mark.slow
@pytest.mark.parametrize("features", NETWORKS)
def test_network_answers_the_same_once_it_is_read(features, tmp_path):
    keras.utils.set_random_seed(0)
    model = network(features)
    check_loadable(model)
    read = load_model(export(model, tmp_path, "keras").path)
    pairs = {
        "image": np.random.default_rng(0).random((4, 28, 28, 1), "float32"),
        "number": np.eye(10, dtype="float32")[:4],
    }
    expected = model.predict(pairs, verbose=0)
    for name, answers in read.predict(pairs, verbose=0).items():
        np.testing.assert_array_equal(answers, expected[name])


@pytest.mark.slow
@pytest.mark.parametrize("features", [flat, rows, in_models])
def test_network_of_such_layers_trains_to_the_end(features, npz, tmp_path):
    config = Config(
        data=str(npz), steps=3, batch_size=8, validation_fraction=0.0
    )
    model = network(features)
    found = train(config, tmp_path / "run", model=model, verbose=0)
    assert found["steps"] == 3 and found["multiply_adds"] > 0


@pytest.mark.parametrize(
    "layer", [layers.Lambda(lambda x: x), layers.Hashing(5)], ids=repr
)
def test_layer_that_runs_code_or_is_none_of_them_is_refused(layer):
    model = network(lambda image: layer(layers.Flatten()(image)))
    with pytest.raises(InputError, match=type(layer).__name__):
        check_loadable(model)
