"""The losses, the metrics and the optimizer that a model is compiled with."""

import copy
import json
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_mnist_sum.config import Config
from keras_mnist_sum.distribution import normalization
from keras_mnist_sum.distribution import replica_values
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import one_line
from keras_mnist_sum.errors import shown
from keras_mnist_sum.models.baselines import negative_probability
from keras_mnist_sum.models.xla import without_xla
from keras_mnist_sum.presets import as_config
from keras_mnist_sum.training.fused_adamw import FusedAdamW
from keras_mnist_sum.training.metrics import Metrics
from keras_mnist_sum.training.metrics import check_metrics
from keras_mnist_sum.training.metrics import copy_metric
from keras_mnist_sum.training.metrics import metrics_of_classes
from keras_mnist_sum.training.metrics import metrics_of_values
from keras_mnist_sum.training.muon import Muon
from keras_mnist_sum.training.schedules import SCHEDULES
from keras_mnist_sum.training.schedules import Rate
from keras_mnist_sum.utils.quiet import filtered_warnings


def adamw(
    config: Config, rate: Rate, kind: type[FusedAdamW] = FusedAdamW
) -> keras.Optimizer:
    """AdamW (Loshchilov and Hutter, https://arxiv.org/abs/1711.05101)."""
    return kind(
        rate,
        weight_decay=config.weight_decay,
        beta_1=config.beta_1,
        beta_2=config.beta_2,
    )


def muon(config: Config, rate: Rate) -> keras.Optimizer:
    """AdamW, and Muon for convolutions
    (https://kellerjordan.github.io/posts/muon/)."""
    return adamw(config, rate, Muon)


def sgd(config: Config, rate: Rate) -> keras.Optimizer:
    """Stochastic gradient descent with momentum."""
    return keras.optimizers.SGD(
        rate, momentum=config.beta_1, weight_decay=config.weight_decay
    )


def adadelta(config: Config, rate: Rate) -> keras.Optimizer:
    """Adadelta (Zeiler, https://arxiv.org/abs/1212.5701)."""
    return keras.optimizers.Adadelta(
        rate,
        rho=config.beta_2,
        epsilon=1e-6,  # PyTorch's; Keras has 1e-7
        weight_decay=config.weight_decay,
    )


OPTIMIZERS = {
    "adamw": adamw,
    "muon": muon,
    "sgd": sgd,
    "adadelta": adadelta,
}
DIGIT_LOSSES = {
    "cross_entropy": keras.losses.sparse_categorical_crossentropy,
    "negative_probability": negative_probability,
}


def compile_model(
    model: keras.Model, config: Config, *, metrics: Metrics | None = None
) -> keras.Model:
    """Compiles `model` with a loss and metrics for each output.

    Only kernels decay: neither biases and normalization, nor the arithmetic
    tables; also with an optimizer of your own.

    Args:
        model: A model as `build_model` makes it.
        config: Its optimization part is used.
        metrics: By output, Keras metrics to log beside the accuracy, such as
            `{"sum": keras.metrics.SparseTopKCategoricalAccuracy(3)}`.

    Returns:
        `model`.

    Raises:
        InputError: If one of them is something else, or `config` has epochs
            instead of steps.
    """
    config = as_config(config)
    is_model = isinstance(model, keras.Model)
    if not is_model or not isinstance(getattr(model, "output", None), dict):
        raise InputError(
            "`model` must be a `keras.Model` as `build_model` makes it. "
            f"Received: {type(model).__name__}"
        )
    if config.epochs is not None:
        raise InputError(
            "The learning rate follows the steps of a run, and how many its "
            "epochs have is known with the number of images: pass "
            f"`config.with_steps(images)`. Received: epochs={config.epochs!r}"
        )
    extra = check_metrics(metrics, model.output)
    if unknown := set(config.loss_weights or ()).difference(model.output):
        raise InputError(
            f"`loss_weights` must be of {', '.join(model.output)}. "
            f"Received: {', '.join(sorted(unknown))}"
        )
    has_replicas = replica_values.strategy_of(model) is not None
    optimizer = make_optimizer(config)
    let_kernels_decay(optimizer, model)
    if config.precision == "float16":
        # Small gradients would become 0: https://arxiv.org/abs/1710.03740
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    losses, measured = {}, {}
    for name, output in model.output.items():
        if output.shape[-1] == 1:
            losses[name] = keras.losses.MeanSquaredError()
            measured[name] = metrics_of_values()
        else:
            kind = config.digit_loss if name == "digit" else "cross_entropy"
            losses[name] = DIGIT_LOSSES[kind]
            measured[name] = metrics_of_classes()
        measured[name] += [
            copy_metric(metric) if has_replicas else metric
            for metric in extra[name]
        ]
    if len(losses) == 1:  # Keras measures no loss beside that of the whole.
        [(name, loss)] = losses.items()
        measured[name].append(
            keras.metrics.MeanMetricWrapper(loss, name=f"{name}_loss")
        )
    model.compile(
        optimizer,
        loss=losses,
        loss_weights=loss_weights(config, losses),
        metrics=measured,
    )
    without_xla(model)
    model.optimizer.build(model.trainable_variables)
    if not has_replicas:
        if keras.backend.backend() == "tensorflow":
            for layer in normalization.layers(model):
                normalization.fuse(layer)
        _create_metrics(model, has_own=any(extra.values()))
    return model


def loss_weights(config: Config, outputs: Iterable[str]) -> dict[str, float]:
    """The factor of each output's loss in the one that is minimized.

    What is not supervised is measured, and teaches nothing.
    """
    weights = {name: float(name in config.supervised) for name in outputs}
    return weights | (config.loss_weights or {})


def make_optimizer(config: Config) -> keras.Optimizer:
    """The optimizer of a run, with its learning rate.

    Raises:
        InputError: If Keras cannot rebuild an optimizer of the user's own.
    """
    if config.custom_optimizer is None:
        rate = SCHEDULES[config.schedule](config)
        return OPTIMIZERS[config.optimizer](config, rate)
    try:
        return _rebuild(config.custom_optimizer)
    except Exception as error:
        raise _not_an_optimizer(error) from error


def let_kernels_decay(optimizer: keras.Optimizer, model: keras.Model) -> None:
    """Excludes all weights but kernels from weight decay."""
    optimizer.exclude_from_weight_decay(
        var_list=[
            x
            for x in model.trainable_variables
            if not x.name.endswith("kernel")  # depthwise_kernel, ...
        ]
    )


def check_replicas(config: Config, replicas: int) -> None:
    """Refuses an optimizer that several replicas do not make one run of.

    Keras clips the gradient of each before it sums them up, and cannot trace
    what it does every few steps.

    Args:
        config: The run.
        replicas: Copies of the model that train together.

    Raises:
        InputError: If it is one.
    """
    if replicas == 1 or config.custom_optimizer is None:
        return
    optimizer = make_optimizer(config)
    names = ["clipnorm", "global_clipnorm", "clipvalue"]
    names += ["gradient_accumulation_steps"]
    names += ["ema_overwrite_frequency"] * bool(optimizer.use_ema)
    for name in names:
        if value := getattr(optimizer, name):
            raise InputError(
                f"`optimizer` must be one without {name} on several devices: "
                "leave it out, or use strategy='single'. "
                f"Received: {name}={value!r} for {replicas} replicas"
            )


def optimizer_to_dict(optimizer: Any) -> dict[str, Any]:
    """What `Config.custom_optimizer` holds of an optimizer.

    Args:
        optimizer: A Keras optimizer, whose state is not kept, or its name.

    Raises:
        InputError: If it is something else, or Keras cannot rebuild it.
    """
    try:
        with filtered_warnings("error"):  # As of a lambda.
            content = keras.optimizers.serialize(
                keras.optimizers.get(optimizer)
            )
        kept = ("module", "class_name", "config", "registered_name")
        # Keras counts those of a process in their names.
        content = {name: content[name] for name in kept}
        content["config"].pop("name", None)
        content = json.loads(json.dumps(content, allow_nan=False))
        rebuilt = _rebuild(content)
    except Exception as error:
        raise _not_an_optimizer(error) from error
    if isinstance(rebuilt, keras.optimizers.LossScaleOptimizer):
        raise InputError(
            "`optimizer` must be one without loss scaling: a run in float16 "
            f"adds that by itself. Received: {shown(optimizer)}"
        )
    if not hasattr(rebuilt, "learning_rate"):
        raise InputError(
            "`optimizer` must be one, with a learning rate. "
            f"Received: {shown(optimizer)}"
        )
    return content


def _rebuild(content: dict[str, Any]) -> keras.Optimizer:
    # Keras writes into what it reads.
    optimizer = keras.optimizers.deserialize(copy.deepcopy(content))
    if not isinstance(optimizer, keras.Optimizer):
        raise TypeError(f"a {content['class_name']} that is not registered")
    return optimizer


def _not_an_optimizer(error: Exception) -> InputError:
    return InputError(
        "`optimizer` must be a Keras optimizer that Keras can write and read "
        "again: a class of your own needs get_config and "
        "@keras.saving.register_keras_serializable(). "
        f"Received: {' '.join(str(error).split()):.200}"
    )


def has_constant_rate(config: Config) -> bool:
    """Whether callbacks may set the learning rate."""
    own = config.custom_optimizer
    if own is None:
        return config.schedule == "constant"
    return isinstance(own["config"]["learning_rate"], float | int)


def sample_learning_rates(config: Config, points: int = 201) -> np.ndarray:
    """The learning rate over a run, as long as no callback changes it.

    Returns:
        A float64 array of shape `(2, steps)`: at most `points` steps, evenly
        spaced from 0 to the last, and the rate at each.
    """
    optimizer = make_optimizer(config)
    # `iterations` is no variable where gradients are accumulated.
    taken = next(x for x in optimizer.variables if x.name == "iteration")
    steps = np.unique(np.linspace(0, config.steps, points).round())
    rates = []
    for step in steps:
        taken.assign(int(step))
        rates.append(float(keras.ops.convert_to_numpy(optimizer.learning_rate)))
    return np.array([steps, rates])


def _create_metrics(model: keras.Model, has_own: bool) -> None:
    """Creates what `fit` would create while it traces the first step.

    TensorFlow traces a function that creates variables a second time, which
    would cost more than a second. With several replicas, `fit` does this.

    Raises:
        InputError: If a metric of the user cannot measure its output.
    """
    targets, predictions = {}, {}
    for name, output in model.output.items():
        targets[name] = np.zeros(2, "int64")
        if output.shape[-1] == 1:
            targets[name] = np.zeros((2, 1), "float32")
        predictions[name] = np.full((2, output.shape[-1]), 0.5, "float32")
    model.compute_loss(y=targets, y_pred=predictions)
    try:
        model.compute_metrics(None, targets, predictions)
    except Exception as error:
        if not has_own:
            raise
        raise InputError(
            "`metrics` must measure classes (batch,) against probabilities "
            "(batch, classes), or values (batch, 1) against such, as Keras's "
            f"Sparse... do. Received: {type(error).__name__}: "
            f"{one_line(str(error), 200)}"
        ) from error
    model.reset_metrics()
