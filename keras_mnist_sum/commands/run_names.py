"""What differs in a run from its preset: for its name, and for a person."""

import dataclasses
import re
from typing import Any

from keras_mnist_sum import presets
from keras_mnist_sum.config import Config

_LONGEST = 60  # characters of a name, before date and time
_SHORT = {
    "seed": "s{}",
    "width": "w{}",
    "steps": "{}steps",
    "epochs": "{}epochs",
    "batch_size": "b{}",
    "learning_rate": "lr{}",
}


def changes(config: Config) -> dict[str, Any]:
    """The settings that are not the preset's, in their order."""
    preset = presets.get(config.preset).config
    found = {
        field.name: value
        for field in dataclasses.fields(config)
        if (value := getattr(config, field.name)) != getattr(preset, field.name)
        and (field.name, value) != ("epochs", None)
    }
    if sha256 := found.pop("teachers_sha256", None):
        found["teachers"] = len(sha256)
    return found


def name(config: Config) -> str:
    """A name for a run: the preset, and what was changed.

    >>> name(presets.get("fast").config)
    'fast'
    >>> name(Config(preset="fast", head="concat", seed=1, ...))
    'fast-concat-s1'

    Where the whole would be long, the last changes are left out. It has only
    letters, digits, `_`, `.`, `+` and `-`.
    """
    parts = [config.preset]
    for setting, value in changes(config).items():
        if setting == "data_dir":  # The images are the same.
            continue
        part = _part(setting, value)
        if len("-".join([*parts, part])) > _LONGEST:
            parts.append("more")
            break
        parts.append(part)
    return "-".join(parts)


def describe(config: Config) -> str:
    """The preset, and what was changed, in a line for a person."""
    parts = [f"preset {config.preset}"]
    parts += [
        f"{setting.replace('_', ' ')} {_text(value)}"
        for setting, value in {"data": config.data, **changes(config)}.items()
    ]
    return ", ".join(parts)


def _part(setting: str, value: Any) -> str:
    if setting in _SHORT:
        part = _SHORT[setting].format(_text(value))
    elif isinstance(value, bool):
        part = setting if value else f"no_{setting}"
    elif isinstance(value, str):  # The name of a head, say, or a long path.
        part = re.split(r"[/\\]", value.rstrip("/\\"))[-1][-20:]
    else:
        part = f"{setting}_{_text(value).replace(',', '+')}"
    return re.sub(r"[^A-Za-z0-9_.+]", "_", part)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ",".join(f"{key}={_text(x)}" for key, x in value.items())
    return ",".join(value) if isinstance(value, tuple) else str(value)
