"""What is measured of each output beside its loss."""

import itertools
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
from keras.src.utils.naming import get_object_name

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.models.layers import Tensor

# By output, what Keras takes as metrics: objects, functions or names.
Metric: TypeAlias = keras.metrics.Metric | Callable | str
Metrics: TypeAlias = Mapping[str, Metric | Sequence[Metric]]


def metrics_of_values() -> list[keras.metrics.Metric]:
    """Those of an output that is a value."""
    return [
        keras.metrics.MeanMetricWrapper(_rounds_to, name="accuracy"),
        keras.metrics.MeanAbsoluteError(name="mae"),
    ]


def metrics_of_classes() -> list[keras.metrics.Metric]:
    """Those of an output that is a distribution."""
    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]


def check_metrics(
    metrics: Any, outputs: Iterable[str]
) -> dict[str, list[Metric]]:
    """Checks metrics of the user.

    Args:
        metrics: `Metrics`, or `None` for none.
        outputs: The outputs of the model.

    Returns:
        A list for each output.

    Raises:
        InputError: If they are something else, or a name is taken.
    """
    names, metrics = tuple(outputs), {} if metrics is None else metrics
    if not isinstance(metrics, Mapping) or not set(metrics) <= set(names):
        raise InputError(
            "`metrics` must be a dict of Keras metrics by output, with some of "
            f"{', '.join(names)}. Received: metrics={shown(metrics)}"
        )
    found = {}
    for output in names:
        value = metrics.get(output, [])
        found[output] = [*value] if isinstance(value, list | tuple) else [value]
        taken = {"loss", "accuracy", "acc", "mae"}
        for metric in found[output]:
            name = _name(metric)
            if not name or name in taken:
                raise InputError(
                    "`metrics` must be Keras metrics, with names of their own: "
                    f"not {', '.join(sorted(taken))}. "
                    f"Received: {shown(metric)} for {output}"
                )
            taken.add(name)
    objects = [
        id(metric)
        for metric in itertools.chain(*found.values())
        if isinstance(metric, keras.metrics.Metric)
    ]
    if len(set(objects)) < len(objects):
        raise InputError(
            "`metrics` must be of their own for each output: one would count "
            f"both. Received: one object twice in {shown(metrics)}"
        )
    return found


def columns(metrics: dict[str, list[Metric]]) -> dict[str, bool]:
    """How the logs call them, and whether each is a mean over examples."""
    return {
        f"{output}_{_name(metric)}": _is_mean(metric)
        for output, found in metrics.items()
        for metric in found
    }


def copy_metric(metric: Metric) -> Metric:
    """One like it, in the scope of this strategy.

    Raises:
        InputError: If Keras cannot make one.
    """
    if not isinstance(metric, keras.metrics.Metric):
        return metric
    given: Any = metric
    try:
        return type(given).from_config(given.get_config())
    except Exception as error:
        raise InputError(
            "On several devices a metric needs `get_config`, so that each has "
            f"one. Received: {shown(metric)} ({error})"
        ) from error


def _name(metric: Any) -> str:
    """What Keras calls it; empty if it is no metric."""
    if isinstance(metric, str):
        try:
            keras.metrics.get(metric)
        except ValueError:
            return ""
        return metric
    if isinstance(metric, keras.metrics.Metric):
        return metric.name
    if isinstance(metric, type) or not callable(metric):
        return ""
    return str(get_object_name(metric))


def _is_mean(metric: Metric) -> bool:
    """Also functions are; a root of a mean is a `Mean` to Keras, but none."""
    found = keras.metrics.get(metric) if isinstance(metric, str) else metric
    if not isinstance(found, keras.metrics.Metric):
        return True
    mean, wrapper = keras.metrics.Mean, keras.metrics.MeanMetricWrapper
    updates = (mean.update_state, wrapper.update_state)
    kind: Any = type(found)
    return kind.result is mean.result and kind.update_state in updates


def _rounds_to(values: Tensor, predictions: Tensor) -> Tensor:
    """Whether each prediction's nearest integer is the true value."""
    return keras.ops.equal(values, keras.ops.round(predictions))
