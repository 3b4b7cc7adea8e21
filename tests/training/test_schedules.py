"""How the learning rate goes, and who may change it."""

import json

import keras
import numpy as np
import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.training.optimization import has_constant_rate
from keras_mnist_sum.training.optimization import make_optimizer
from keras_mnist_sum.training.optimization import optimizer_to_dict
from keras_mnist_sum.training.optimization import sample_learning_rates
from keras_mnist_sum.training.schedules import SCHEDULES

# Up to 0.2 in the first 10 of 100 steps, and to a twentieth of that at the end.
RISES_AND_FALLS = dict(
    steps=100,
    learning_rate=0.2,
    warmup_fraction=0.1,
    final_rate_fraction=0.05,
)
HALVES = keras.optimizers.schedules.ExponentialDecay(0.4, 50, 0.5)


@pytest.mark.parametrize(
    "schedule, expected",
    [
        ("cosine", {0: 0.0, 5: 0.1, 10: 0.2, 55: 0.105, 100: 0.01}),
        ("linear", {0: 0.0, 5: 0.1, 10: 0.2, 55: 0.105, 100: 0.01}),
        ("linear", {32: 0.2 - 0.19 * 22 / 90, 200: 0.01}),
        ("constant", {0: 0.2, 50: 0.2, 100: 0.2}),
    ],
)
def test_learning_rate_is_the_one_that_the_schedule_says(schedule, expected):
    optimizer = make_optimizer(Config(schedule=schedule, **RISES_AND_FALLS))
    for step, rate in expected.items():
        optimizer.iterations.assign(step)
        found = float(optimizer.learning_rate)
        np.testing.assert_allclose(found, rate, atol=1e-7)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_run_without_warm_up_begins_at_the_peak(schedule):
    config = Config(schedule=schedule, warmup_fraction=0.0)
    rate = float(make_optimizer(config).learning_rate)
    assert rate == pytest.approx(config.learning_rate)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warmup_fraction", [0.0, 1.0])
def test_every_rate_of_a_run_is_a_number(schedule, warmup_fraction):
    config = Config(schedule=schedule, warmup_fraction=warmup_fraction, steps=1)
    steps, rates = sample_learning_rates(config)
    assert list(steps) == [0, 1]
    assert np.isfinite(rates).all() and (rates >= 0).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedule_survives_what_keras_writes_into_a_model_file(schedule):
    config = Config(schedule=schedule, **RISES_AND_FALLS)
    optimizer = make_optimizer(config)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    for step in (0, 5, 50):
        optimizer.iterations.assign(step)
        again.iterations.assign(step)
        assert float(again.learning_rate) == float(optimizer.learning_rate)


def test_only_a_constant_rate_may_be_changed():
    assert has_constant_rate(Config(schedule="constant"))
    assert not has_constant_rate(Config(schedule="linear"))
    for rate, is_constant in ((0.1, True), (HALVES, False)):
        own = optimizer_to_dict(keras.optimizers.SGD(rate))
        assert has_constant_rate(Config(custom_optimizer=own)) == is_constant


def test_config_holds_all_of_an_optimizer_of_ones_own():
    """However many this process has made; the rate is what is drawn."""
    first, second = (
        optimizer_to_dict(keras.optimizers.Lion(HALVES, weight_decay=0.3))
        for _ in range(2)
    )
    assert first == second == json.loads(json.dumps(first))
    config = Config(custom_optimizer=first, steps=100)
    for _ in range(2):  # Making one leaves the config as it is.
        optimizer = make_optimizer(config)
        assert isinstance(optimizer, keras.optimizers.Lion)
        assert optimizer.weight_decay == 0.3
    assert config.custom_optimizer == second
    _, rates = sample_learning_rates(config, points=3)
    np.testing.assert_allclose(rates, [0.4, 0.2, 0.1])


def test_rates_are_drawn_where_gradients_are_accumulated():
    own = keras.optimizers.SGD(HALVES, gradient_accumulation_steps=2)
    config = Config(custom_optimizer=optimizer_to_dict(own), steps=100)
    _, rates = sample_learning_rates(config, points=3)
    np.testing.assert_allclose(rates, [0.4, 0.2, 0.1])


def test_rate_that_is_no_finite_number_is_one_clear_line():
    for rate in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="`optimizer`.*Received: .*float"):
            optimizer_to_dict(keras.optimizers.SGD(rate))
