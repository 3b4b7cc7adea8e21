"""Which layers a model file may hold."""

import keras

from keras_mnist_sum.errors import InputError

# What a model file may hold: nothing that runs code of its own or makes
# tensors of any size.
KERAS_LAYERS = set(
    """
    Activation ActivityRegularization Add AlphaDropout Average
    AveragePooling2D BatchNormalization Concatenate Conv2D Cropping2D Dense
    DepthwiseConv2D Dropout ELU Flatten GaussianDropout GaussianNoise
    GlobalAveragePooling2D GlobalMaxPooling2D GroupNormalization Identity
    InputLayer LayerNormalization LeakyReLU MaxPooling2D Maximum Minimum
    Multiply PReLU ReLU Rescaling Reshape SeparableConv2D Softmax
    SpatialDropout2D Subtract UnitNormalization
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
