"""What a run cannot use is refused before any work, in one line."""

import keras
import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.training.optimization import check_replicas
from keras_mnist_sum.training.optimization import optimizer_to_dict
from keras_mnist_sum.training.train import train

MEAN = keras.metrics.MeanAbsoluteError()


@pytest.mark.parametrize(
    "callback",
    [
        keras.callbacks.ReduceLROnPlateau("loss"),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
    ],
)
def test_rate_of_a_schedule_cannot_be_set(tmp_path, callback):
    message = r"use Config\(schedule='constant'\).*Received: schedule='cosine'"
    with pytest.raises(InputError, match=message):
        train("fast", tmp_path / "run", callbacks=[callback])
    assert not (tmp_path / "run").exists()


class Unregistered(keras.optimizers.SGD):
    pass


@pytest.mark.parametrize(
    "optimizer",
    [
        "nonsense",
        3,
        keras.optimizers.Adam,
        keras.optimizers.SGD(lambda: 0.1),
        Unregistered(0.1),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
    ],
)
def test_optimizer_that_no_file_can_hold_is_refused(tmp_path, optimizer):
    with pytest.raises(InputError, match="`optimizer` must.*Received"):
        train("fast", tmp_path / "run", optimizer=optimizer)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "name, value",
    [
        ("clipnorm", 1.0),
        ("global_clipnorm", 0.1),
        ("clipvalue", 0.5),
        ("gradient_accumulation_steps", 2),
        ("ema_overwrite_frequency", 3),
    ],
)
def test_optimizer_that_replicas_cannot_share_is_refused(
    digits, tmp_path, monkeypatch, name, value
):
    """One device has it, and what overwrites nothing is no hindrance."""
    named = {name: value, "use_ema": name.startswith("ema")}
    optimizer = keras.optimizers.SGD(0.1, **named)
    config = Config(custom_optimizer=optimizer_to_dict(optimizer))
    check_replicas(config, 1)
    harmless = keras.optimizers.SGD(0.1, use_ema=True)
    check_replicas(Config(custom_optimizer=optimizer_to_dict(harmless)), 2)
    monkeypatch.setattr(Distribution, "replicas", 2)
    message = f"without {name} on.*Received: {name}={value} for 2 replicas"
    with pytest.raises(InputError, match=message):
        train(
            "fast",
            tmp_path / "run",
            data=(*digits, *digits),
            optimizer=optimizer,
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "metrics",
    [
        ["accuracy"],
        {"product": "mse"},
        {"sum": "accuracy"},
        {"sum": "nonsense"},
        {"sum": keras.metrics.Mean},
        {"sum": ["mse", "mse"]},
        {"sum": None},
        {"sum": MEAN, "digit": [MEAN]},
    ],
)
def test_metrics_that_cannot_be_logged_are_refused(tmp_path, metrics):
    with pytest.raises(InputError, match="`metrics` must.*Received"):
        train("fast", tmp_path / "run", metrics=metrics)
    assert not (tmp_path / "run").exists()
