"""Runs side by side: what differs in them, and whether it matters."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum import presets
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import one_line
from keras_mnist_sum.errors import shown
from keras_mnist_sum.evaluation.evaluate import predict_all_pairs
from keras_mnist_sum.evaluation.scores import Scores
from keras_mnist_sum.evaluation.statistics import interval_over_images
from keras_mnist_sum.evaluation.statistics import paired_test
from keras_mnist_sum.formats.any_model import IN_MEMORY
from keras_mnist_sum.formats.any_model import AnyModel
from keras_mnist_sum.formats.any_model import as_opened
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.utils.arguments import as_list

# In which two runs of one recipe may differ.
_NOT_THE_RECIPE = ("seed", "data_dir")
_LONGEST = 30  # characters of a setting, such as a hash, in a name


@dataclass(frozen=True, eq=False)
class Group:
    """Models of one recipe, which differ by their seed alone.

    Attributes:
        settings: The settings in which its recipe differs from those of the
            other groups, by name; the path, for a model that is not a run's.
        paths: What was opened, one for each model.
        scores: Of each model.
        correct: By output and for `all`, bool `(models, images, 10)`: which
            predictions are right.
    """

    settings: dict[str, Any]
    paths: tuple[Path, ...]
    scores: tuple[Scores, ...]
    correct: dict[str, np.ndarray]

    @property
    def name(self) -> str:
        """The settings, for a person; a preset stands for its own."""
        preset = presets.PRESETS.get(self.settings.get("preset", ""))
        own = preset.config.to_dict() if preset else {}
        parts = []
        for name, value in self.settings.items():
            if name == "preset" or name not in own or own[name] != value:
                most = 10_000 if name == "path" else _LONGEST
                text = one_line(_plain(value), most)
                parts.append(f"{name.replace('_', ' ')} {text}")
        return ", ".join(parts)

    def accuracies(self, output: str) -> np.ndarray:
        """The accuracy of each model, 0-1."""
        return self.correct[output].mean(axis=(1, 2))

    def interval(self, output: str) -> tuple[float, float]:
        """A 95 % interval of the mean accuracy, 0-1, for other images."""
        models = self.correct[output]  # (models, images, 10)
        return interval_over_images(np.concatenate(list(models), axis=1))

    def images_right(self, output: str) -> np.ndarray:
        """float64 `(images,)`: in what share of the models all ten pairs of an
        image are right."""
        return self.correct[output].all(axis=2).mean(axis=0)

    def p_value(self, output: str, other: "Group") -> float:
        """How likely a difference this large is, were both equally good: the
        `paired_test` of images that are right."""
        return paired_test(
            self.images_right(output), other.images_right(output)
        )


def compare(
    models: Sequence[AnyModel], images: np.ndarray, digits: np.ndarray
) -> list[Group]:
    """Scores models on the same images, and groups runs of one recipe.

    Args:
        models: What to compare: opened ones, or what `open_model` takes.
        images: uint8 array of shape `(examples, 28, 28)`.
        digits: Integer array of shape `(examples,)`, their labels.

    Returns:
        The groups, in the order in which each was first named.

    Raises:
        InputError: If there is no model, or one twice, or two runs of one
            recipe have the same seed.
    """
    given = as_list(models)
    if not given:
        raise InputError(
            "There must be a list of models to compare. "
            f"Received: {'none' if given == [] else shown(models)}"
        )
    opened = [as_opened(model) for model in given]
    check_different([model.path for model in opened])
    recipes = [_recipe(model, i) for i, model in enumerate(opened, start=1)]
    _check_seeds(opened, recipes)
    groups = []
    for i, recipe in enumerate(recipes):
        if recipe in recipes[:i]:
            continue
        members = [
            model
            for model, other in zip(opened, recipes, strict=True)
            if other == recipe
        ]
        scores: list[Scores] = []
        rights: list[dict[str, np.ndarray]] = []
        for model in members:  # Predictions are large: one at a time.
            found = predict_all_pairs(model, images, digits)
            scores.append(found.scores)
            rights.append(found.correct_and_all)
        correct = {
            name: np.stack([x[name] for x in rights]) for name in rights[0]
        }
        groups.append(
            Group(
                _differences(recipe, recipes),
                tuple(model.path for model in members),
                tuple(scores),
                correct,
            )
        )
    return groups


def _recipe(model: OpenedModel, place: int) -> dict[str, Any]:
    """What makes a model one of a group, by name."""
    if not model.config:
        several = f" ({place})" * (model.path == IN_MEMORY)
        return {"path": f"{model.path}{several}"}
    settings = model.config.to_dict()
    return {x: settings[x] for x in settings if x not in _NOT_THE_RECIPE}


def _check_seeds(models: list[OpenedModel], recipes: list[dict]) -> None:
    seen: list[tuple[dict, int]] = []
    for model, recipe in zip(models, recipes, strict=True):
        if not model.config:
            continue
        if (recipe, model.config.seed) in seen:
            raise InputError(
                "Two runs of one recipe must differ by their seed. "
                f"Received: {str(model.path)!r} with seed {model.config.seed} "
                "once more"
            )
        seen.append((recipe, model.config.seed))


def check_different(paths: Sequence[Path]) -> None:
    """Refuses the same model twice, by whatever path.

    Raises:
        InputError: If there is one.
    """
    seen: set[str] = set()
    for path in paths:
        run = Run(path)
        file = os.path.realpath(run.model if run.has_begun else path)
        if file in seen and path != IN_MEMORY:
            raise InputError(
                f"A model must be named once. Received: {str(path)!r} twice"
            )
        seen.add(file)


def _differences(recipe: dict, recipes: list[dict]) -> dict[str, Any]:
    different = {
        name: value
        for name, value in recipe.items()
        if any(other.get(name, value) != value for other in recipes)
    }
    named = {x: recipe[x] for x in ("preset", "path") if x in recipe}
    return different or named


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        value = [f"{name}={_plain(x)}" for name, x in value.items()]
    if isinstance(value, list | tuple):
        value = ",".join(map(_plain, value))
    return str(value)
