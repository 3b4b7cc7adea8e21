"""Which layers a model file may hold."""

import keras

from keras_mnist_sum.errors import InputError

# What a model file may hold: what computes with tensors alone, and neither runs
# code that the file brings nor reads other files. How much memory and time it
# takes is found out in a process of its own (formats/trial.py).
KERAS_LAYERS = set(
    """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout
    Attention Average AveragePooling1D AveragePooling2D AveragePooling3D
    BatchNormalization Bidirectional CenterCrop Concatenate Conv1D
    Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D
    ConvLSTM2D Cropping1D Cropping2D Cropping3D Dense DepthwiseConv1D
    DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Flatten GRU
    GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D GroupNormalization GroupQueryAttention Identity
    InputLayer LSTM LayerNormalization LeakyReLU MaxPooling1D MaxPooling2D
    MaxPooling3D Maximum Minimum MultiHeadAttention Multiply Normalization
    PReLU Permute RMSNormalization RandomBrightness RandomContrast RandomCrop
    RandomFlip RandomRotation RandomTranslation RandomZoom ReLU RepeatVector
    Rescaling Reshape Resizing SeparableConv1D SeparableConv2D SimpleRNN
    Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D
    SpectralNormalization Subtract TimeDistributed UnitNormalization
    UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D
    ZeroPadding3D
    """.split()
)

_allowed: dict[str, type[keras.layers.Layer]] = {}


def allow_layer(layer: type[keras.layers.Layer]) -> type[keras.layers.Layer]:
    """Lets model files hold a layer of yours; usable as a decorator.

    It must be registered (`keras.saving.register_keras_serializable`).

    Raises:
        InputError: If it is not registered.
    """
    is_layer = isinstance(layer, type) and issubclass(layer, keras.layers.Layer)
    name = keras.saving.get_registered_name(layer) if is_layer else ""
    if not is_layer or name == layer.__name__:
        raise InputError(
            "A layer must be a class, registered by "
            "keras.saving.register_keras_serializable. "
            f"Received: {getattr(layer, '__name__', type(layer).__name__)}"
        )
    _allowed[name] = layer
    return layer


def allowed_layers() -> dict[str, type[keras.layers.Layer]]:
    """The layers that are not Keras's own, by their registered names."""
    return dict(_allowed)


def ours(layer: type[keras.layers.Layer]) -> type[keras.layers.Layer]:
    """Registers a layer of this package, which model files may hold."""
    register = keras.saving.register_keras_serializable("keras_mnist_sum")
    return allow_layer(register(layer))
