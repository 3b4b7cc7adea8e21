"""A config as JSON, also as earlier versions wrote and read it."""

import json
from typing import TYPE_CHECKING
from typing import Any

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import Task

if TYPE_CHECKING:
    from keras_mnist_sum.config import Config

# Left out where they say nothing, so that earlier versions read the file.
_LATER = ("teachers_sha256", "train_teachers", "distillation_weight")


def to_text(config: "Config") -> str:
    """What `config.json` holds."""
    values = config.to_dict()
    for name in _LATER:
        if values[name] == getattr(type(config), name):
            del values[name]
    return json.dumps(values, indent=2) + "\n"


def read(text: str) -> dict[str, Any]:
    """The fields in a text of `to_text`, also of the first edition's.

    Raises:
        InputError: If the text is not such a config.
    """
    try:
        values = {**json.loads(text)}
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"Not a config. Received: {error}") from None
    if "average_shift" in values:  # Written by the first edition.
        values["test_time_shift"] = values.pop("average_shift")
        if isinstance(values.get("supervise"), str):
            names = values["supervise"].split(",")
            # Its default said what `None` says.
            is_default = set(names) == {"digit", "sum", "difference"}
            values["supervise"] = None if is_default else names
    if values.get("custom_task") is not None:
        values["custom_task"] = Task.from_dict(values["custom_task"])
    return values
