"""Everything that decides a run, in one frozen dataclass.

A field carries its help, choices and range; commands make flags of them. The
dict of backbones is their only list, as are those of heads, optimizers,
schedules and losses. Their keys are read as text: importing them would import
Keras.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from keras_mnist_sum import config_json
from keras_mnist_sum.config_checks import check_together
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.task import DIFFERENCES
from keras_mnist_sum.task import FORMULAS
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.settings import BELOW_1
from keras_mnist_sum.utils.settings import SMALLEST
from keras_mnist_sum.utils.settings import check_setting
from keras_mnist_sum.utils.settings import keys_of
from keras_mnist_sum.utils.settings import plain
from keras_mnist_sum.utils.settings import setting

PRECISIONS = ("float32", "bfloat16", "float16", "auto")
# Not a part of a config: on other devices a run is the same run.
STRATEGIES = ("auto", "single", "mirrored", "multi_worker", "tpu")

BACKBONES = keys_of("BACKBONES", "models/backbones.py", "models/baselines.py")
HEADS = keys_of("HEADS", "models/heads.py", "models/baselines.py")
DIGIT_LOSSES = keys_of("DIGIT_LOSSES", "training/optimization.py")
OPTIMIZERS = keys_of("OPTIMIZERS", "training/optimization.py")
SCHEDULES = keys_of("SCHEDULES", "training/schedules.py")


@dataclass(frozen=True)
class Config:
    """A run. Two with equal configs and data see the same batches and start
    from the same weights.

    Each field says below what it is; `python train.py --help` prints all.

    Raises:
        InputError: If a value has the wrong type or lies out of range.
    """

    # === Data and task ===
    preset: str = setting(
        "residual", "the preset that this config started from", flag=False
    )
    data: str = setting(
        "auto",
        "where MNIST comes from: tfds, sample (5,000 images, no network "
        "needed), a path (of an IDX folder, mnist.npz, CSV or pictures), or "
        "auto: tfds, and the sample where that cannot be had",
    )
    data_dir: str | None = setting(
        None,
        "tensorflow-datasets folder (default: $TFDS_DATA_DIR, else "
        "~/tensorflow_datasets)",
    )
    validation_fraction: float = setting(
        0.05,
        "share of the training images that is kept for validation",
        range=(0, 0.5),
    )
    outputs: tuple[str, ...] = setting(
        ("digit", "sum", "difference"),
        f"outputs of the model, separated by commas: {', '.join(FORMULAS)}",
    )
    difference: str = setting(
        "absolute",
        "|digit - number|, or digit - number from -9 to 9",
        choices=DIFFERENCES,
    )
    custom_task: Task | None = setting(
        None, "a task of your own, in place of the two above", flag=False
    )
    supervise: tuple[str, ...] | None = setting(
        None,
        "outputs whose labels are used in training, separated by commas "
        "(default: all)",
    )

    # === Model ===
    backbone: str = setting(
        "residual",
        "network from the image to the digit's logits",
        choices=BACKBONES,
    )
    width: int = setting(
        32, "channels of the backbone's first stage", range=(1, 512)
    )
    head: str = setting(
        "table",
        "how the other outputs follow from digit and number: a learned "
        "probability table, the exact one, one linear layer on logits and "
        "number (concat), an MLP on the most likely digit (argmax), or an MLP "
        "to values instead of probabilities (regression)",
        choices=HEADS,
    )
    test_time_shift: int = setting(
        0,
        "test-time augmentation: outside training, logits are the mean over "
        "the image and four copies shifted by as many pixels; 0 for none",
        range=(0, 28),
        unit="pixels",
    )
    precision: str = setting(
        "float32",
        "type of the numbers in computation, with weights in float32: bfloat16 "
        "and float16 are faster only on hardware made for them, which auto "
        "looks for",
        choices=PRECISIONS,
    )

    # === Augmentation ===
    rotation: float = setting(
        0.18,
        "largest random rotation of a training image",
        range=(0, math.pi),
        unit="radians",
    )
    scale: float = setting(
        0.10,
        "largest random relative change of an image's width, and of its height",
        range=(0, 0.9),
    )
    shear: float = setting(
        0.15, "largest random horizontal shear, as a tangent", range=(0, 1)
    )
    shift: float = setting(
        2.0, "largest random shift each way", range=(0, 28), unit="pixels"
    )
    elastic: float = setting(
        0.0,
        "standard deviation of the random shifts of a 5x5 grid of points that "
        "bend a training image",
        range=(0, 28),
        unit="pixels",
    )
    warp_fade_fraction: float = setting(
        0.6,
        "share of the steps, the last ones, over which the ranges above "
        "fall to 0, so that a run ends on images as they are",
        range=(0, 1),
    )

    # === Optimization ===
    steps: int = setting(
        1500, "optimizer steps of the whole run", range=(1, 10**9)
    )
    epochs: float | None = setting(
        None,
        "passes over the training images, in place of --steps",
        range=(SMALLEST, 10**6),
    )
    batch_size: int = setting(
        128, "examples in a step, all devices together", range=(1, 10**6)
    )
    digit_loss: str = setting(
        "cross_entropy",
        "loss of the digit; negative_probability leaves out the logarithm, by "
        "mistake, in the design behind baseline_regression",
        choices=DIGIT_LOSSES,
    )
    loss_weights: dict[str, float] | None = setting(
        None,
        "factors of the outputs' losses in the one that is minimized, such as "
        "sum=2,difference=0.5 (default: 1 for each)",
    )
    optimizer: str = setting(
        "muon", "how a step follows from gradients", choices=OPTIMIZERS
    )
    learning_rate: float = setting(
        3e-3,
        "learning rate at its peak; muon gives the kernels of convolutions "
        "five times as much",
        range=(SMALLEST, 100),
    )
    schedule: str = setting(
        "cosine",
        "learning rate by step: up in a line, then down in a cosine or in a "
        "line (linear); or constant, with no warm-up: callbacks may change it",
        choices=SCHEDULES,
    )
    warmup_fraction: float = setting(
        0.10, "share of the steps with a linearly rising rate", range=(0, 1)
    )
    final_rate_fraction: float = setting(
        0.001, "last learning rate, as a share of the peak", range=(0, 1)
    )
    beta_1: float = setting(
        0.9, "first decay rate, or momentum", range=(0, BELOW_1)
    )
    beta_2: float = setting(
        0.99, "second decay rate, or rho", range=(0, BELOW_1)
    )
    weight_decay: float = setting(
        1e-2, "decoupled weight decay, on kernels only", range=(0, 100)
    )
    custom_optimizer: dict[str, Any] | None = setting(
        None,
        "an optimizer of your own, as Keras serializes it, in place of what "
        "`optimizer` to `weight_decay` say",
        flag=False,
    )
    initial_weights: str | None = setting(
        None,
        "SHA-256 of the weights of the model that the run goes on from",
        flag=False,
    )
    teachers_sha256: tuple[str, ...] | None = setting(
        None, "SHA-256 of each given teacher's file or weights", flag=False
    )
    train_teachers: int = setting(
        0,
        "teachers that the run trains itself first, in RUN/teachers: each is a "
        "run by the same settings with a seed of its own",
        range=(0, 100),
    )
    distillation_weight: float = setting(
        0.7,
        "share of the teachers' answers in what the outputs learn from, if "
        "there are teachers; the labels have the rest",
        range=(SMALLEST, 1),
    )
    seed: int = setting(
        0, "decides initial weights and all draws", range=(0, 2**31 - 1)
    )
    deterministic: bool = setting(
        True,
        "compute only in ways that give the same bits each time on one machine",
    )

    def __new__(cls, /, *values: object, **fields: object) -> "Config":
        known = {field.name for field in dataclasses.fields(cls)}
        if values or not set(fields) <= known:
            raise InputError(
                "A config's fields are set by name, as in Config(width=16); a "
                "preset's config is presets.get(NAME).config. "
                f"Received: {shown(sorted(set(fields) - known) or 'no names')}"
            )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = plain(getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            check_setting(field, value)
        check_together(self)

    @property
    def task(self) -> Task:
        """What the model learns."""
        return self.custom_task or Task.named(self.outputs, self.difference)

    @property
    def supervised(self) -> tuple[str, ...]:
        """The outputs whose labels are used in training."""
        every = tuple(self.custom_task or self.outputs)
        return every if self.supervise is None else self.supervise

    def with_steps(self, examples: int) -> "Config":
        """This config with `steps` for its `epochs` over `examples` images."""
        if self.epochs is None:
            return self
        steps = max(round(self.epochs * examples / self.batch_size), 1)
        return dataclasses.replace(self, steps=steps, epochs=None)

    def as_begun(self, begun: "Config") -> "Config":
        """This config with the data and precision of a run that has begun,
        where it says `"auto"`: with another network or processor that would
        be others now."""
        found = {
            name: getattr(begun, name)
            for name in ("data", "precision")
            if getattr(self, name) == "auto"
        }
        if "data" in found and begun.data == "sample":
            found["data_dir"] = None  # MNIST was not there then.
        elif self.data_dir and begun.data != "tfds":
            found.pop("data", None)  # That is a folder for no other data.
        return dataclasses.replace(self, **found)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        task = self.custom_task
        return {**vars(self), "custom_task": task and task.to_dict()}

    def to_json(self) -> str:
        return config_json.to_text(self)

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """Rebuilds a config from `to_json`'s text, also of the first edition.

        Raises:
            InputError: If the text is not such a config.
        """
        return cls(**config_json.read(text))
