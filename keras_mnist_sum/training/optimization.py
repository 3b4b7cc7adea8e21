"""A loss, metrics and an optimizer for each output of a model."""

from typing import TypeAlias

import keras
import numpy as np

from keras_mnist_sum.config import Config
from keras_mnist_sum.distribution import replica_values
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models.baselines import negative_probability
from keras_mnist_sum.models.layers import Tensor
from keras_mnist_sum.presets import as_config

Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule


def adamw(config: Config, schedule: Schedule) -> keras.Optimizer:
    """AdamW (Loshchilov and Hutter, https://arxiv.org/abs/1711.05101)."""
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=config.weight_decay,
        beta_1=config.beta_1,
        beta_2=config.beta_2,
    )


def sgd(config: Config, schedule: Schedule) -> keras.Optimizer:
    """Stochastic gradient descent with momentum."""
    return keras.optimizers.SGD(
        schedule, momentum=config.beta_1, weight_decay=config.weight_decay
    )


def adadelta(config: Config, schedule: Schedule) -> keras.Optimizer:
    """Adadelta (Zeiler, https://arxiv.org/abs/1212.5701)."""
    return keras.optimizers.Adadelta(
        schedule,
        rho=config.beta_2,
        epsilon=1e-6,  # PyTorch's; Keras has 1e-7
        weight_decay=config.weight_decay,
    )


OPTIMIZERS = {"adamw": adamw, "sgd": sgd, "adadelta": adadelta}
DIGIT_LOSSES = {
    "cross_entropy": keras.losses.sparse_categorical_crossentropy,
    "negative_probability": negative_probability,
}


def compile_model(model: keras.Model, config: Config) -> keras.Model:
    """Compiles `model` with a loss and metrics for each output.

    The learning rate rises in a line, then falls in a cosine
    (https://arxiv.org/abs/1608.03983) to the final rate. Only kernels decay:
    neither biases and normalization, nor the arithmetic tables.

    Args:
        model: A model as `build_model` makes it.
        config: Its optimization part is used.

    Returns:
        `model`.

    Raises:
        InputError: If one of them is something else.
    """
    config = as_config(config)
    if not isinstance(model, keras.Model):
        raise InputError(
            f"`model` must be a `keras.Model`. Received: {type(model).__name__}"
        )
    optimizer = OPTIMIZERS[config.optimizer](
        config, learning_rate_schedule(config)
    )
    optimizer.exclude_from_weight_decay(
        var_list=[v for v in model.trainable_variables if v.name != "kernel"]
    )
    if config.precision == "float16":
        # Small gradients would become 0: https://arxiv.org/abs/1710.03740
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    losses, metrics = {}, {}
    for name, output in model.output.items():
        if output.shape[-1] == 1:
            losses[name] = keras.losses.MeanSquaredError()
            metrics[name] = [
                keras.metrics.MeanMetricWrapper(_rounds_to, name="accuracy"),
                keras.metrics.MeanAbsoluteError(name="mae"),
            ]
        else:
            kind = config.digit_loss if name == "digit" else "cross_entropy"
            losses[name] = DIGIT_LOSSES[kind]
            metrics[name] = [
                keras.metrics.SparseCategoricalAccuracy(name="accuracy")
            ]
    model.compile(
        optimizer,
        loss=losses,
        # What is not supervised is measured, and teaches nothing.
        loss_weights={
            name: float(name in config.supervised) for name in losses
        },
        metrics=metrics,
    )
    model.optimizer.build(model.trainable_variables)
    if replica_values.strategy_of(model) is None:
        _create_metrics(model)
    return model


def learning_rate_schedule(config: Config) -> Schedule:
    """The learning rate by step: up in a line, down in a cosine."""
    warmup_steps = round(config.steps * config.warmup_fraction)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(config.steps - warmup_steps, 1),
        alpha=config.final_rate_fraction,
        warmup_target=config.learning_rate,
        warmup_steps=warmup_steps,
    )


def sample_learning_rates(config: Config, points: int = 201) -> np.ndarray:
    """The learning rate over a run.

    Returns:
        A float64 array of shape `(2, points)`: steps, evenly spaced from 0 to
        the last, and the rate at each.
    """
    schedule = learning_rate_schedule(config)
    steps = np.linspace(0, config.steps, points)
    rates = [float(schedule(step)) for step in steps]
    return np.array([steps, rates])


def _create_metrics(model: keras.Model) -> None:
    """Creates what `fit` would create while it traces the first step.

    TensorFlow traces a function that creates variables a second time, which
    would cost more than a second. With several replicas, `fit` does this.
    """
    targets, predictions = {}, {}
    for name, output in model.output.items():
        targets[name] = np.zeros((1, 1), "float32")
        predictions[name] = np.full((1, output.shape[-1]), 0.5, "float32")
    model.compute_loss(y=targets, y_pred=predictions)
    model.compute_metrics(None, targets, predictions)
    model.reset_metrics()


def _rounds_to(values: Tensor, predictions: Tensor) -> Tensor:
    """Whether each prediction's nearest integer is the true value."""
    return keras.ops.equal(values, keras.ops.round(predictions))
