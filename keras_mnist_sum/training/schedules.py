"""Learning rates by step. To add one, add a function and its line."""

from typing import Any
from typing import TypeAlias

import keras

from keras_mnist_sum.config import Config
from keras_mnist_sum.models.layers import Tensor

Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule
Rate: TypeAlias = float | Schedule


@keras.saving.register_keras_serializable("keras_mnist_sum")
class LinearWarmUpAndDecay(Schedule):
    """A learning rate that rises in a line from 0, then falls in a line.

    Args:
        learning_rate: The highest rate.
        steps: Steps until it has fallen.
        warmup_steps: Steps until it is highest.
        final_rate_fraction: The last rate, as a share of the highest.
    """

    def __init__(
        self,
        learning_rate: float,
        steps: int,
        warmup_steps: int,
        final_rate_fraction: float,
    ) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.final_rate_fraction = final_rate_fraction

    def __call__(self, step: Tensor) -> Tensor:
        done = keras.ops.cast(step, "float32")
        up = done / max(self.warmup_steps, 1)
        if not self.warmup_steps:
            up = keras.ops.ones_like(done)
        left = (self.steps - done) / max(self.steps - self.warmup_steps, 1)
        final = self.final_rate_fraction
        down = final + (1 - final) * keras.ops.maximum(left, 0.0)
        return self.learning_rate * keras.ops.minimum(
            keras.ops.minimum(up, 1.0), down
        )

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "final_rate_fraction": self.final_rate_fraction,
        }


def cosine(config: Config) -> Schedule:
    """Up in a line, down in a cosine (https://arxiv.org/abs/1608.03983)."""
    warmup_steps = round(config.steps * config.warmup_fraction)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(config.steps - warmup_steps, 1),
        alpha=config.final_rate_fraction,
        warmup_target=config.learning_rate,
        warmup_steps=warmup_steps,
    )


def linear(config: Config) -> Schedule:
    """Up in a line, down in a line."""
    return LinearWarmUpAndDecay(
        config.learning_rate,
        config.steps,
        round(config.steps * config.warmup_fraction),
        config.final_rate_fraction,
    )


def constant(config: Config) -> float:
    """Always the same, unless a callback changes it."""
    return config.learning_rate


SCHEDULES = {"cosine": cosine, "linear": linear, "constant": constant}
