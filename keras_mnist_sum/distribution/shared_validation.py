"""Validation that replicas share: each computes its part of every batch."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_mnist_sum.distribution.replica_values import run_alike


class SharedValidation:
    """Scores held-out examples on all replicas, to the figures of one device.

    Each replica computes the outputs for its share of a batch, and gets those
    of the others in one message. Losses and metrics then see the whole batch,
    as on one device, in each worker. So a metric need not be a sum over
    examples: it may be a maximum, or a mean over batches.

    Args:
        model: Compiled, on several replicas. It must answer for each example
            by itself, as it does for a user.
        dataset: Batches of `(inputs, targets)`, the same in all workers.
    """

    def __init__(self, model: keras.Model, dataset: tf.data.Dataset) -> None:
        self.model = model
        self.dataset = dataset
        self.strategy = model.distribute_strategy

    def __call__(self, callbacks: keras.callbacks.CallbackList) -> dict:
        """Scores all examples. All workers must call this together.

        Args:
            callbacks: Called as `keras.Model.evaluate` calls them.

        Returns:
            Losses and metrics by name, as `fit` logs them: `val_loss`, ...
        """
        self.model.stop_evaluating = False
        callbacks.on_test_begin()
        with keras.StatelessScope() as scope:
            self.model.reset_metrics()
        state = _values(scope, self.model.metrics_variables)
        for index, batch in enumerate(self.dataset):
            callbacks.on_test_batch_begin(index)
            logs, state = self._score(*batch, state)
            callbacks.on_test_batch_end(index, logs)
            if self.model.stop_evaluating:
                break
        logs = self._agree(logs)
        callbacks.on_test_end(logs)
        return {f"val_{name}": value for name, value in logs.items()}

    @functools.cached_property
    def _score(self) -> Callable:
        """What `keras.Model.test_step` does, with metrics as values."""
        model, variables = self.model, self.model.metrics_variables

        def score(inputs: Any, targets: Any, state: list[tf.Tensor]) -> Any:
            outputs = self._share_outputs(inputs)
            mapping = [*zip(variables, state, strict=True)]
            weights = [x for x in model.trainable_weights if x.regularizer]
            mapping += [(x, x.value) for x in weights]  # Keras has no others.
            with keras.StatelessScope(mapping, collect_losses=True) as scope:
                if outputs is None:
                    outputs = model(inputs, training=False)
                loss = model.compute_loss(
                    inputs, targets, outputs, training=False
                )
                model._loss_tracker.update_state(
                    loss, sample_weight=_size(inputs)
                )
                logs = model.compute_metrics(inputs, targets, outputs)
                return _flatten(logs), _values(scope, variables)

        # Keras weighs the batches otherwise where it knows their sizes.
        state = [tf.TensorSpec(x.shape, x.dtype) for x in variables]
        return tf.function(
            score,
            input_signature=[*self.dataset.element_spec, state],
            autograph=False,
        )

    def _share_outputs(self, inputs: Any) -> dict[str, tf.Tensor] | None:
        """The outputs for a batch, each computed by one replica; `None` if
        layers count, or add as a loss, what they see: they must see all."""
        is_tpu = isinstance(self.strategy, tf.distribute.TPUStrategy)
        if is_tpu or any(layer.metrics for layer in self.model.layers):
            return None  # A TPU takes no shares whose size is not known.
        outputs, logits = run_alike(self.strategy, self._compute_share, inputs)
        weights = self.model.trainable_weights
        of_weights = sum(x.regularizer is not None for x in weights)
        if len(self.model.losses) > of_weights:
            return None
        for name, tensor in logits.items():
            outputs[name]._keras_logits = tensor
        return outputs

    def _compute_share(self, inputs: Any) -> list[dict[str, tf.Tensor]]:
        """Outputs and logits, of which this replica computes its share: one
        example more or less than the others."""
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group
        size, replicas = _size(inputs), context.num_replicas_in_sync
        begin = replica * size // replicas
        end = (replica + 1) * size // replicas
        last = tf.maximum(end, begin + 1)  # Layers may not bear an empty batch.
        share = tf.nest.map_structure(lambda x: x[begin:last], inputs)
        outputs = self.model(share, training=False)
        here = [outputs, _logits(outputs)]
        # One dtype is one message. Rows are zero but where they are computed.
        types = [x.dtype for x in tf.nest.flatten(here)]
        dtype = keras.backend.result_type("float32", *types)
        rows = [[begin, size - end], [0, 0]]
        summands = tf.nest.map_structure(
            lambda x: tf.pad(tf.cast(x[: end - begin], dtype), rows), here
        )
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, summands)
        return tf.nest.map_structure(
            lambda x, like: tf.cast(x, like.dtype), sums, here
        )

    @functools.cached_property
    def _agree(self) -> Callable:
        """The first replica's values, for all: another machine may round
        otherwise, and callbacks of the workers must not come to differ."""

        def of_first(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            context = tf.distribute.get_replica_context()
            is_first = context.replica_id_in_sync_group == 0
            summands = {
                name: tf.where(is_first, tf.cast(x, tf.float64), 0.0)
                for name, x in values.items()
            }
            return context.all_reduce(tf.distribute.ReduceOp.SUM, summands)

        return tf.function(
            lambda values: run_alike(self.strategy, of_first, values)
        )


def _logits(outputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Of a softmax: what Keras computes the cross-entropy from."""
    found = {}
    for name, output in outputs.items():
        if hasattr(output, "_keras_logits"):
            found[name] = output._keras_logits
        elif output.op.type == "Softmax":
            found[name] = output.op.inputs[0]
    return found


def _size(inputs: Any) -> tf.Tensor:
    return tf.shape(tf.nest.flatten(inputs)[0])[0]


def _values(scope: keras.StatelessScope, variables: list) -> list[tf.Tensor]:
    found = [scope.get_current_value(x) for x in variables]
    return [
        tf.convert_to_tensor(variable if value is None else value)
        for variable, value in zip(variables, found, strict=True)
    ]


def _flatten(logs: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Results that a metric gives as a dict are logged by its names."""
    flat: dict[str, tf.Tensor] = {}
    for name, value in logs.items():
        if isinstance(value, dict):
            flat |= _flatten(value)
        else:
            flat[name] = tf.convert_to_tensor(value)
    return flat
