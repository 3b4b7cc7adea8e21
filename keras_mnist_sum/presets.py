"""Named configs: what each is, what it scores, what it costs."""

from dataclasses import dataclass

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError


@dataclass(frozen=True)
class Preset:
    """A config with what to expect of it.

    Attributes:
        config: The run.
        description: What it is, in a line.
        expected: What it scored, how often, and what that cost.
    """

    config: Config
    description: str
    expected: str


DEFAULT = "residual"

PRESETS = {
    "residual": Preset(
        Config(),
        "residual network, learned arithmetic tables, 301 k parameters",
        "99.62 ± 0.03 % all three right (n = 3) in 124 s on two cores",
    ),
}


def get(name: str) -> Preset:
    """Returns the preset called `name`.

    Raises:
        InputError: If there is none.
    """
    if name not in PRESETS:
        raise InputError(
            f"`preset` must be one of {', '.join(PRESETS)}. "
            f"Received: preset={name!r}"
        )
    return PRESETS[name]
