"""What a model says of itself, in every file that it is written to."""

import json
from dataclasses import dataclass
from typing import IO

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import Task

KEY = "keras_mnist_sum"  # under which a file's metadata hold it
FILE = f"{KEY}.json"  # where they are a file

_LARGEST = 2**20  # bytes


@dataclass(frozen=True)
class ModelInfo:
    """What a model is.

    Attributes:
        task: Its outputs.
        preset: Name of the preset that its config started from, or "".
        version: Version of the package that built it, or "".
    """

    task: Task
    preset: str = ""
    version: str = ""

    def to_dict(self) -> dict:
        """The same as JSON has it."""
        return {
            "task": self.task.to_dict(),
            "preset": self.preset,
            "version": self.version,
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, content: object) -> "ModelInfo":
        """Rebuilds it from what `to_dict` returned.

        Raises:
            InputError: If it is something else.
        """
        if not isinstance(content, dict):
            raise InputError(
                f"A model's metadata must be a dict. Received: {content!r:.80}"
            )
        words = [str(content.get(x, ""))[:80] for x in ("preset", "version")]
        return cls(Task.from_dict(content.get("task")), *words)

    @classmethod
    def from_json(cls, text: str | bytes) -> "ModelInfo":
        """Rebuilds it from `to_json`'s text. Raises as `from_dict`."""
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"A model's metadata must be JSON. Received: {error}"
            ) from error
        return cls.from_dict(content)

    @classmethod
    def read(cls, file: IO[bytes]) -> "ModelInfo":
        """The same, of a file with this text. Raises as `from_dict`."""
        return cls.from_json(file.read(_LARGEST))
