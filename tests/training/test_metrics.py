"""Metrics of the user's own are refused before any work if they cannot be
computed."""

import keras
import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training.metrics import check_metrics
from keras_mnist_sum.training.metrics import columns
from keras_mnist_sum.training.optimization import compile_model
from tests.strange_values import assert_refuses

CONFIG = Config(backbone="small", width=1, precision="float32")


def fails(labels, predictions):
    raise KeyError("a bug")


@pytest.mark.parametrize(
    "metric",
    [
        "mse",
        "AUC",
        keras.metrics.Precision(),
        keras.metrics.F1Score(),
        keras.metrics.Mean(),
        fails,
    ],
)
def test_metric_that_cannot_measure_an_output_is_refused(metric):
    model = build_model(CONFIG)
    with pytest.raises(InputError, match="must measure.*Received") as error:
        compile_model(model, CONFIG, metrics={"sum": metric})
    assert str(error.value).isprintable()


def topK(labels, predictions):
    return predictions[:, 0]


class Doubled(keras.metrics.SparseCategoricalAccuracy):
    def result(self):
        return 2 * super().result()


def test_means_over_examples_are_told_from_other_metrics():
    means = [
        keras.metrics.SparseTopKCategoricalAccuracy(3, name="top3"),
        keras.metrics.MeanSquaredError(),
        "sparse_categorical_crossentropy",
        fails,
        lambda y, p: fails(y, p),
        keras.losses.SparseCategoricalCrossentropy(name="of_its_own"),
        topK,
    ]
    others = [keras.metrics.RootMeanSquaredError(), "AUC", Doubled("doubled")]
    found = columns(check_metrics({"sum": means + others}, ["digit", "sum"]))
    assert found == {
        "sum_top3": True,
        "sum_mean_squared_error": True,
        "sum_sparse_categorical_crossentropy": True,
        "sum_fails": True,
        "sum_lambda": True,
        "sum_of_its_own": True,
        "sum_top_k": True,
        "sum_root_mean_squared_error": False,
        "sum_AUC": False,
        "sum_doubled": False,
    }


def test_what_is_no_metric_is_one_clear_line():
    outputs = ("digit", "sum")
    assert_refuses(lambda x: check_metrics(x, outputs))
    assert_refuses(lambda x: check_metrics({"sum": x}, outputs))
    assert_refuses(lambda x: check_metrics({"sum": [x]}, outputs))
