"""Named configs: what each is, what it scores, how long it takes."""

from dataclasses import dataclass
from typing import Any

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown


@dataclass(frozen=True)
class Preset:
    """A config with what to expect of it.

    Attributes:
        config: The run.
        parameters: Number of weights of its model, trainable or not.
        description: What it is, in a line.
        expected: What it scored in how many runs, and how long one took;
            `None` if that was not measured yet.
    """

    config: Config
    parameters: int
    description: str
    expected: str | None


DEFAULT = "residual"

_ALL_IMAGES_UNCHANGED: dict[str, Any] = dict(
    validation_fraction=0.0, rotation=0.0, scale=0.0, shear=0.0, shift=0.0
)
_CONSTANT_RATE: dict[str, Any] = dict(
    warmup_fraction=0.0, final_rate_fraction=1.0, weight_decay=0.0
)

PRESETS = {
    "residual": Preset(
        Config(precision="auto"),
        301_278,
        "residual network, learned arithmetic tables",
        "99.63 ± 0.04 % all three right (n = 5) in 37 s on two cores",
    ),
    "fast": Preset(
        Config(
            preset="fast",
            precision="auto",
            backbone="small",
            width=32,
            **_ALL_IMAGES_UNCHANGED,
            steps=310,  # 1.32 epochs
            batch_size=256,
            optimizer="adamw",
            learning_rate=2e-2,
            warmup_fraction=0.2,
            beta_1=0.8,
            beta_2=0.95,
        ),
        29_054,
        "two convolutions, a few seconds, learned arithmetic tables",
        "99.06 ± 0.06 % all three right (n = 10) in 3 s on two cores",
    ),
    "accurate": Preset(
        Config(
            preset="accurate",
            precision="auto",
            test_time_shift=1,
            validation_fraction=0.0,
            rotation=0.26,
            scale=0.15,
            shear=0.20,
            elastic=0.8,
            warp_fade_fraction=0.2,
            steps=9_375,  # 20 epochs
            train_teachers=5,
        ),
        301_278,
        "as residual, six times the steps, learned from five teachers like it, "
        "stronger warps, five shifts averaged",
        "99.71 ± 0.03 % all three right (n = 5) in 48 min on one core",
    ),
    "baseline_classification": Preset(
        Config(
            preset="baseline_classification",
            backbone="plain",
            width=16,
            head="concat",
            **_ALL_IMAGES_UNCHANGED,
            steps=13_125,  # 14 epochs
            batch_size=64,
            optimizer="adadelta",
            learning_rate=1.0,
            beta_2=0.9,
            **_CONSTANT_RATE,
        ),
        452_878,
        "seven convolutions, logits and number concatenated, one linear layer",
        "20.08 ± 2.03 % all three right (n = 3) in 13 min on one core",
    ),
    "baseline_regression": Preset(
        Config(
            preset="baseline_regression",
            precision="auto",  # hours in float32
            backbone="plain_doubling",
            width=32,
            head="regression",
            digit_loss="negative_probability",
            **_ALL_IMAGES_UNCHANGED,
            steps=17_812,  # 19 epochs
            batch_size=64,
            optimizer="sgd",
            learning_rate=0.01,
            beta_1=0.9,
            # Without a warm-up, one start in four diverges.
            **{**_CONSTANT_RATE, "warmup_fraction": 0.01},
        ),
        6_402_764,
        "seven wide convolutions, sum and difference regressed",
        "88.71 % all three right (n = 1) in some 41 min on two cores",
    ),
    "hard_argmax": Preset(
        Config(
            preset="hard_argmax",
            backbone="dropout",
            width=32,
            head="argmax",
            **_ALL_IMAGES_UNCHANGED,
            steps=15_469,  # 33 epochs
            batch_size=128,
            optimizer="adamw",
            learning_rate=1e-3,
        ),
        347_667,
        "the most likely digit, one-hot, and the number through an MLP",
        "99.58 ± 0.01 % all three right (n = 3) in some 18 min on two cores",
    ),
}


def get(name: str) -> Preset:
    """Returns the preset called `name`.

    Raises:
        InputError: If there is none.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise InputError(
            f"`preset` must be one of {', '.join(PRESETS)}. "
            f"Received: preset={shown(name)}"
        )
    return PRESETS[name]


def as_config(value: Config | Preset | str) -> Config:
    """The config that `value` stands for, wherever one is taken.

    Args:
        value: A config, a preset, or the name of one.

    Raises:
        InputError: If it is none of these.
    """
    if isinstance(value, str):
        value = get(value)
    if isinstance(value, Preset):
        value = value.config
    if not isinstance(value, Config):
        raise InputError(
            "`config` must be a `Config` or the name of a preset "
            f"({', '.join(PRESETS)}). Received: {shown(value)}"
        )
    return value
