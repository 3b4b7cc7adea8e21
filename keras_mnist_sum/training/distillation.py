"""Distillation: a model that learns from labels and from teachers.

Hinton et al. (2015), https://arxiv.org/abs/1503.02531, at temperature 1. The
teachers answer the batch of each step, warped as the model sees it, on the
device that trains.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from keras_mnist_sum.config import Config
from keras_mnist_sum.distribution import replica_values
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.any_model import as_opened
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.models.build import info_of
from keras_mnist_sum.models.layers import AugmentByShifts
from keras_mnist_sum.models.layers import MeanOverShifts
from keras_mnist_sum.models.layers import PropagateNaN
from keras_mnist_sum.models.layers import Tensor
from keras_mnist_sum.task import Task
from keras_mnist_sum.training.optimization import loss_weights
from keras_mnist_sum.training.teachers import Teacher


def load_teacher(teacher: Teacher, config: Config) -> Teacher:
    """The same teacher, with its `keras.Model` loaded.

    Raises:
        InputError: If it lacks an output of the run's task, or gives values
            where the run's model gives probabilities, or the other way round.
    """
    given, where = teacher.model, str(teacher.path)
    # A network of the caller's own does not say of which task it is.
    is_bare = isinstance(given, keras.Model) and not info_of(given)
    opened = as_opened(given, config.task if is_bare else None)
    model, task = opened.keras_model, opened.task
    shared = Task.of(task[name] for name in config.task if name in task)
    if shared != config.task:
        raise InputError(
            "`teachers` must have the outputs of the run's task. "
            f"Received: {where!r} of {task}, not {config.task}"
        )
    for name, output in config.task.items():
        is_value = config.head == "regression" and name != "digit"
        size = 1 if is_value else output.num_classes
        if model.output[name].shape[-1] != size:
            raise InputError(
                "`teachers` must give values where the run's model does, by "
                "the head 'regression', and only there. "
                f"Received: {where!r} for head={config.head!r}"
            )
    return dataclasses.replace(teacher, model=model)


def teach(
    model: keras.Model, teachers: Sequence[keras.Model], config: Config
) -> None:
    """Has `fit` train a model on labels and on what teachers answer.

    With w for `config.distillation_weight`, the loss of an output becomes

    (1 - w) · loss(label) + w · loss(mean answer of the teachers)

    where the second one is the cross-entropy from their mean probabilities, or
    the squared error from their mean values. The weights of outputs hold for
    both. What is logged of each output, and all of validation, is of the labels
    alone, so that runs compare.

    The model keeps its layers and variables: where it is saved or copied, there
    is nothing of the teachers. They compute in the run's precision, as outside
    training but for the five shifts of `test_time_shift`: these would take five
    times as long, and the model sees shifted images in training anyway.

    Args:
        model: Compiled by `compile_model`. Call this in its strategy's scope.
        teachers: Models of the same task, which stay as they are.
        config: The run.
    """
    if not teachers:
        return
    dtype = model.output["digit"].dtype
    committee = [_frozen(x, dtype, config.precision) for x in teachers]
    share = config.distillation_weight
    weights = loss_weights(config, model.output)
    strategy = replica_values.strategy_of(model)
    replicas = strategy.num_replicas_in_sync if strategy else 1
    loss_of_labels = model.compute_loss

    def compute_loss(
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        loss = loss_of_labels(x, y, y_pred, sample_weight, training=training)
        if not training:
            return loss
        answers = [teacher(x, training=False) for teacher in committee]
        taught = sum(
            weights[name] * _loss([each[name] for each in answers], prediction)
            for name, prediction in y_pred.items()
        )
        # `loss` has these of regularizers and `add_loss` beside the labels'.
        others = sum(keras.ops.sum(each) for each in model.losses)
        # A replica has the mean over its share, and gradients are summed.
        return (1 - share) * loss + share / replicas * (taught + others)

    model.compute_loss = compute_loss


def _loss(answers: list[Tensor], prediction: Tensor) -> Tensor:
    """How far predictions are from the mean of some answers, all of shape
    `(batch, classes)`, or `(batch, 1)` for values: the mean over the batch."""
    target = keras.ops.stop_gradient(sum(answers) / len(answers))
    loss = keras.losses.categorical_crossentropy
    if prediction.shape[-1] == 1:
        loss = keras.losses.mean_squared_error
    return keras.ops.mean(loss(target, prediction))


def _frozen(teacher: keras.Model, dtype: str, precision: str) -> keras.Model:
    """A copy that answers in `dtype`, from a backbone in a half precision."""
    copy = copy_model(teacher, dtype, without=(AugmentByShifts, MeanOverShifts))
    copy.trainable = False
    for layer in copy.layers:
        halves = precision in ("bfloat16", "float16")  # not "auto"
        if isinstance(layer, PropagateNaN) and halves:
            for part in keras.Model(copy.input, layer.input[0]).layers:
                if not isinstance(part, keras.layers.InputLayer):
                    part.dtype_policy = f"mixed_{precision}"
    return copy
