"""Everything that decides a run, in one frozen dataclass."""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

from keras_mnist_sum.errors import InputError

BACKBONES = ("residual", "small", "plain", "plain_doubling", "dropout")
HEADS = ("table", "exact", "concat", "argmax", "regression")
DIGIT_LOSSES = ("cross_entropy", "negative_probability")
OPTIMIZERS = ("adamw", "sgd", "adadelta")
OUTPUTS = ("digit", "sum", "difference")
PRECISIONS = ("float32", "bfloat16", "float16", "auto")
# No part of a config: on other devices a run is the same run.
STRATEGIES = ("auto", "single", "mirrored", "multi_worker", "tpu")


@dataclass(frozen=True)
class Config:
    """A run: data, model, augmentation, optimization. Two runs with equal
    configs and data see the same batches and start from the same weights.

    Attributes:
        preset: Name of the preset that this config started from.
        data: Where MNIST comes from: `"auto"`, `"tfds"`, `"sample"`, or the
            path of a folder of IDX files or of an `mnist.npz`.
        data_dir: tensorflow-datasets folder; `None` means `TFDS_DATA_DIR` or
            its own default.
        validation_fraction: Share of the training images that is held out and
            scored after each epoch, in [0, 0.5].
        difference: `"absolute"` (10 classes) or `"signed"` (19 classes).
        backbone: Name of the network from image to ten digit logits.
        width: Channels of the backbone's first stage.
        average_shift: Outside training, the digit's logits are the mean of
            those for the image and for its copies shifted by this many pixels
            to the left, to the right, up and down: five times the work of an
            answer. 0 for the image alone.
        head: How sum and difference follow from digit and number: `"table"`
            (learned), `"exact"` (given), `"concat"` (one linear layer on
            digit logits and number), `"argmax"` (an MLP on the most likely
            digit and the number, both one-hot) or `"regression"` (an MLP on
            digit logits and number, to values instead of probabilities).
        supervise: The outputs whose labels are used in training, separated
            by commas.
        digit_loss: `"cross_entropy"`, or `"negative_probability"`: the mean
            of -P(true digit), without the logarithm. Sum and difference are
            trained by cross-entropy, by squared error as a regression.
        precision: `"float32"`; `"bfloat16"` or `"float16"` for computation in
            these and weights in float32, float16 with a scaled loss; `"auto"`
            for what the devices are made for (`Distribution.precision`).
        rotation: Largest random rotation of a training image, in radians.
        scale: Largest random relative change of width and of height.
        shear: Largest random horizontal shear, as a tangent.
        shift: Largest random shift along each axis, in pixels.
        elastic: Standard deviation of the random shifts of a 5x5 grid of
            points, in pixels, that bend a training image.
        warp_fade_fraction: Share of the steps, the last ones, over which the
            five ranges above fall to 0, so that a run ends on images as they
            are.
        steps: Optimizer steps of the whole run.
        batch_size: Examples in a global batch, whatever the number of devices.
        optimizer: `"adamw"`, `"sgd"` with momentum, or `"adadelta"`.
        learning_rate: Peak learning rate.
        warmup_fraction: Share of the steps with a linearly rising rate.
        final_rate_fraction: Learning rate of the last step, as a share of the
            peak; the way down is a cosine.
        beta_1: Decay rate of AdamW's first moment; SGD's momentum.
        beta_2: Decay rate of AdamW's second moment; Adadelta's rho.
        weight_decay: Decoupled weight decay, on kernels only.
        seed: Decides the initial weights and every random draw.
        deterministic: Whether TensorFlow may only compute in ways that give
            the same bits each time, on the same machine.

    Raises:
        InputError: If a value has the wrong type or lies out of range.
    """

    preset: str = "residual"
    data: str = "auto"
    data_dir: str | None = None
    validation_fraction: float = 0.05
    difference: str = "absolute"
    backbone: str = "residual"
    width: int = 32
    average_shift: int = 0
    head: str = "table"
    supervise: str = ",".join(OUTPUTS)
    digit_loss: str = "cross_entropy"
    precision: str = "float32"
    rotation: float = 0.18
    scale: float = 0.10
    shear: float = 0.15
    shift: float = 2.0
    elastic: float = 0.0
    warp_fade_fraction: float = 0.6
    steps: int = 2000
    batch_size: int = 128
    optimizer: str = "adamw"
    learning_rate: float = 3e-3
    warmup_fraction: float = 0.10
    final_rate_fraction: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 1e-2
    seed: int = 0
    deterministic: bool = True

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_type(field.name, field.type, getattr(self, field.name))
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise InputError(
                    f"`{name}` must be one of {', '.join(choices)}. "
                    f"Received: {name}={value!r}"
                )
        for name, (low, high, words) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:  # NaN is refused, too
                raise InputError(
                    f"`{name}` must be {words}. Received: {name}={value!r}"
                )

        names = self.supervise.split(",")
        if len(set(names)) < len(names) or not set(names) <= set(OUTPUTS):
            raise InputError(
                f"`supervise` must name some of {','.join(OUTPUTS)}. "
                f"Received: supervise={self.supervise!r}"
            )
        if "digit" not in names and self.head != "exact":
            raise InputError(
                "Without labels of the digit only the head 'exact' says what "
                "the digit is. "
                f"Received: supervise={self.supervise!r}, head={self.head!r}"
            )
        if "digit" not in names and self.digit_loss != "cross_entropy":
            raise InputError(
                "A loss of the digit needs its labels. "
                f"Received: supervise={self.supervise!r}, "
                f"digit_loss={self.digit_loss!r}"
            )

    def as_begun(self, begun: "Config") -> "Config":
        """This config with the data and precision of a run that has begun,
        where it says `"auto"`: with another network or processor that would
        be others now."""
        found = {
            name: getattr(begun, name)
            for name in ("data", "precision")
            if getattr(self, name) == "auto"
        }
        if self.data_dir and begun.data != "tfds":
            found.pop("data", None)  # That is a folder for no other data.
        return dataclasses.replace(self, **found)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """Rebuilds a config from `to_json`'s text.

        Raises:
            InputError: If the text is not such a config.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"Not a config. Received: {error}") from None
        if not isinstance(values, dict):
            raise InputError(f"Not a config. Received: {text[:80]!r}")
        unknown = set(values) - {f.name for f in dataclasses.fields(cls)}
        if unknown:
            raise InputError(
                f"A config has no such fields. Received: {sorted(unknown)}"
            )
        return cls(**values)


_SMALLEST = 1e-12
_CHOICES = {
    "difference": ("absolute", "signed"),
    "backbone": BACKBONES,
    "head": HEADS,
    "digit_loss": DIGIT_LOSSES,
    "optimizer": OPTIMIZERS,
    "precision": PRECISIONS,
}
_RANGES: dict[str, tuple[float, float, str]] = {
    "validation_fraction": (0, 0.5, "from 0 to 0.5"),
    "width": (1, 512, "from 1 to 512"),
    "average_shift": (0, 28, "from 0 to 28 pixels"),
    "rotation": (0, math.pi, "from 0 to pi radians"),
    "scale": (0, 0.9, "from 0 to 0.9"),
    "shear": (0, 1, "from 0 to 1"),
    "shift": (0, 28, "from 0 to 28 pixels"),
    "elastic": (0, 28, "from 0 to 28 pixels"),
    "warp_fade_fraction": (0, 1, "from 0 to 1"),
    "steps": (1, 10**9, "a positive number of steps"),
    "batch_size": (1, 10**6, "a positive number of examples"),
    "learning_rate": (_SMALLEST, 100, "positive (and at most 100)"),
    "warmup_fraction": (0, 1, "from 0 to 1"),
    "final_rate_fraction": (0, 1, "from 0 to 1"),
    "beta_1": (0, 1 - _SMALLEST, "at least 0 and below 1"),
    "beta_2": (0, 1 - _SMALLEST, "at least 0 and below 1"),
    "weight_decay": (0, 100, "from 0 to 100"),
    "seed": (0, 2**31 - 1, "from 0 to 2147483647"),
}


def _check_type(name: str, expected: Any, value: Any) -> None:
    kinds = {float: (float, int), str | None: (str, type(None))}
    allowed = kinds.get(expected, (expected,))
    if not isinstance(value, allowed) or isinstance(value, bool) != (
        expected is bool
    ):
        words = getattr(expected, "__name__", str(expected))
        raise InputError(
            f"`{name}` must be of type {words}. Received: {name}={value!r}"
        )
