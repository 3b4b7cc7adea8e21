"""The teachers of a run: which they are. Imports no TensorFlow by itself."""

import dataclasses
import hashlib
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.formats.any_model import IN_MEMORY
from keras_mnist_sum.formats.any_model import AnyModel
from keras_mnist_sum.formats.any_model import is_keras_model
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.model_file import check_file
from keras_mnist_sum.formats.model_file import opening
from keras_mnist_sum.formats.open import FORMATS
from keras_mnist_sum.formats.open import PathLike
from keras_mnist_sum.formats.open import checked_path
from keras_mnist_sum.formats.open import format_of
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.utils.regular_files import open_regular


@dataclass(frozen=True, eq=False)
class Teacher:
    """A model that another one learns from.

    Attributes:
        model: What `load_model` takes: a path, until it is loaded.
        path: Where it is; or that it is in memory.
        sha256: That of its file, or of the weights of a model in memory.
    """

    model: AnyModel
    path: Path
    sha256: str

    @property
    def training_seconds(self) -> float | None:
        """What its training took, with that of its own teachers; `None` where
        one is no run."""
        run = Run(self.path)
        if not run.is_scored:
            return None
        results = run.read_results()
        own = results.get("training_seconds")
        return results.get("training_seconds_with_teachers", own)


def find_teachers(teachers: Sequence[AnyModel]) -> list[Teacher]:
    """Finds the teachers of a run; files are not loaded.

    Args:
        teachers: What `load_model` takes.

    Raises:
        InputError: If one is something else, or is there twice.
    """
    if not isinstance(teachers, list | tuple):
        raise InputError(
            "`teachers` must be a list of run directories, .keras files or "
            f"Keras models. Received: teachers={shown(teachers)}"
        )
    found: dict[str, Teacher] = {}
    for teacher in map(_find, teachers):
        if other := found.get(teacher.sha256):
            raise InputError(
                "`teachers` must be different models. Received: one model as "
                f"{str(other.path)!r} and as {str(teacher.path)!r}"
            )
        found[teacher.sha256] = teacher
    return list(found.values())


def _find(given: AnyModel) -> Teacher:
    if not isinstance(given, PathLike):
        model: Any = given if is_keras_model(given) else load_model(given)
        weights = b"".join(array.tobytes() for array in model.get_weights())
        path = given.path if isinstance(given, OpenedModel) else IN_MEMORY
        return Teacher(model, path, hashlib.sha256(weights).hexdigest())
    path = Path(os.path.abspath(checked_path(given)))
    if format_of(path) != FORMATS["keras"]:
        raise InputError(
            "`teachers` must be run directories, .keras files or Keras models. "
            f"Received: {str(path)!r}, which was exported from one"
        )
    file = Run(path).model if path.is_dir() else path
    check_file(file, "Keras", zipfile.is_zipfile)
    with opening(file, "Keras"), open_regular(file) as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return Teacher(path, path, digest)


def with_teachers(config: Config, teachers: Sequence[Teacher]) -> Config:
    """The config of a run with these teachers.

    Raises:
        InputError: If the config speaks of teachers, and there are none.
    """
    if teachers:
        sha256 = tuple(teacher.sha256 for teacher in teachers)
        return dataclasses.replace(config, teachers_sha256=sha256)
    if config.teachers_sha256 is not None:
        raise InputError(
            "`teachers` must be given: the config is of a run that had some. "
            f"Received: teachers_sha256={shown(config.teachers_sha256)}"
        )
    weight = config.distillation_weight
    if weight != Config.distillation_weight and not config.train_teachers:
        raise InputError(
            "`distillation_weight` means nothing without teachers. "
            f"Received: distillation_weight={weight!r}, and no teachers"
        )
    return config


def teachers_report(
    teachers: Sequence[Teacher], config: Config, seconds: float
) -> dict[str, Any]:
    """What `results.json` holds of a run with teachers.

    Args:
        teachers: Those of the run.
        config: The run.
        seconds: What its own training took.
    """
    if not teachers:
        return {}
    each = [teacher.training_seconds for teacher in teachers]
    known = [x for x in each if x is not None]
    whole = round(seconds + sum(known), 2) if len(known) == len(each) else None
    return {
        "distillation_weight": config.distillation_weight,
        "teachers": [
            {
                "path": str(teacher.path),
                "sha256": teacher.sha256,
                "training_seconds": teacher.training_seconds,
            }
            for teacher in teachers
        ],
        "training_seconds_with_teachers": whole,
    }
