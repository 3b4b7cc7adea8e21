"""A loss, metrics and an optimizer for each output of a model."""

import keras
import numpy as np

from keras_mnist_sum.config import Config


def compile_model(model: keras.Model, config: Config) -> keras.Model:
    """Compiles `model` with a loss and metrics for each output.

    AdamW (Loshchilov and Hutter, 2019), SGD with momentum, or Adadelta
    (Zeiler, 2012), with a linear warm-up, then a cosine
    (https://arxiv.org/abs/1608.03983) down to the final rate. Only kernels
    decay: neither biases and normalization, nor the arithmetic tables.

    Args:
        model: A model as `build_model` makes it.
        config: Its optimization part is used.

    Returns:
        `model`.
    """
    schedule = learning_rate_schedule(config)
    optimizer: keras.Optimizer
    if config.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            schedule,
            momentum=config.beta_1,
            weight_decay=config.weight_decay,
        )
    elif config.optimizer == "adadelta":
        optimizer = keras.optimizers.Adadelta(
            schedule,
            rho=config.beta_2,
            epsilon=1e-6,  # PyTorch's; Keras has 1e-7
            weight_decay=config.weight_decay,
        )
    else:
        optimizer = keras.optimizers.AdamW(
            schedule,
            weight_decay=config.weight_decay,
            beta_1=config.beta_1,
            beta_2=config.beta_2,
        )
    optimizer.exclude_from_weight_decay(
        var_list=[v for v in model.trainable_variables if v.name != "kernel"]
    )
    if config.precision == "float16":
        # Small gradients would become 0: https://arxiv.org/abs/1710.03740
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    supervised = config.supervise.split(",")
    losses, metrics = {}, {}
    for name, output in model.output.items():
        if output.shape[-1] == 1:
            losses[name] = keras.losses.MeanSquaredError()
            metrics[name] = [
                keras.metrics.MeanMetricWrapper(_rounds_to, name="accuracy"),
                keras.metrics.MeanAbsoluteError(name="mae"),
            ]
        else:
            losses[name] = keras.losses.SparseCategoricalCrossentropy()
            metrics[name] = [
                keras.metrics.SparseCategoricalAccuracy(name="accuracy")
            ]
    if config.digit_loss == "negative_probability":
        losses["digit"] = _negative_probability
    model.compile(
        optimizer,
        loss=losses,
        # What is not supervised is measured, and teaches nothing.
        loss_weights={name: float(name in supervised) for name in losses},
        metrics=metrics,
    )
    model.optimizer.build(model.trainable_variables)
    strategy = getattr(model, "distribute_strategy", None)  # TensorFlow's
    if strategy is None or strategy.num_replicas_in_sync == 1:
        _create_metrics(model)
    return model


def learning_rate_schedule(
    config: Config,
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate by step: up in a line, down in a cosine."""
    warmup_steps = round(config.steps * config.warmup_fraction)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(config.steps - warmup_steps, 1),
        alpha=config.final_rate_fraction,
        warmup_target=config.learning_rate,
        warmup_steps=warmup_steps,
    )


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


def _negative_probability(classes, probabilities):
    """-P(true class) of each example: `(batch,)`, `(batch, classes)`."""
    classes = keras.ops.reshape(keras.ops.cast(classes, "int32"), (-1, 1))
    return -keras.ops.take_along_axis(probabilities, classes, axis=-1)


def _rounds_to(values, predictions):
    """Whether each prediction's nearest integer is the true value."""
    return keras.ops.equal(values, keras.ops.round(predictions))
