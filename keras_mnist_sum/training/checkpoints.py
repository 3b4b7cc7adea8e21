"""Checkpoints: all that a run needs to go on, bit for bit, where it stopped.

A checkpoint is one file, so that it is whole or absent: a line with the SHA-256
of all that follows, then an uncompressed NumPy archive of weights (with the
states of dropout), optimizer and metrics, and notes in JSON. A file that does
not fit its checksum is not used.

`tf.train.Checkpoint` spreads over several files, which a kill can leave at odds
with each other.
"""

import hashlib
import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mnist_sum.data import array_files
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import atomic_files

KEEP = 3
_MAGIC = b"keras_mnist_sum checkpoint "
_LARGEST = 4 * 2**30  # bytes

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """What was saved after a step.

    Attributes:
        step: Optimizer steps done.
        variables: Arrays by group, in the order of the model's own lists:
            `weights` (with the states of random generators), `optimizer` and
            `metrics` (the running epoch's).
        notes: What `save` was given, as JSON holds it.
    """

    step: int
    variables: dict[str, list[np.ndarray]]
    notes: dict

    def restore(self, model: keras.Model, *groups: str) -> None:
        """Assigns the arrays of `groups` to a compiled model's variables.

        Raises:
            InputError: If the model is not the one that was saved.
        """
        for group in groups:
            variables = _variables(model)[group]
            arrays = self.variables.get(group, [])
            found = [tuple(array.shape) for array in arrays]
            expected = [tuple(variable.shape) for variable in variables]
            if found != expected:
                raise InputError(
                    "The checkpoint is of another model: its code has changed "
                    f"since. Received: {group} of shapes {found}, not "
                    f"{expected}"
                )
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)


def capture(model: keras.Model) -> dict[str, Any]:
    """What a checkpoint holds of a compiled model: arrays by name.

    Where several processes train, all must call this together.
    """
    return {
        f"{group}.{index}": keras.ops.convert_to_numpy(variable)
        for group, variables in _variables(model).items()
        for index, variable in enumerate(variables)
    }


def save(folder: Path, arrays: dict[str, Any], step: int, notes: dict) -> None:
    """Writes a checkpoint of what `capture` gave; keeps the newest `KEEP`.

    Raises:
        InputError: If the system refuses to write it.
    """
    content = io.BytesIO()
    np.savez(
        content,
        **arrays,
        notes=np.array(json.dumps({"step": step, **notes})),
    )
    digest = hashlib.sha256(content.getbuffer()).hexdigest()
    path = folder / f"step-{step:09d}.ckpt"
    with atomic_files.atomic_write(path) as aside, open(aside, "wb") as file:
        file.write(_MAGIC + digest.encode() + b"\n")
        file.write(content.getbuffer())
    for path in _newest_first(folder)[KEEP:]:
        path.unlink(missing_ok=True)


def load_newest(folder: Path) -> Checkpoint | None:
    """Reads the newest checkpoint that is whole.

    Each newer one that is damaged is a line of warning.

    Args:
        folder: Where `save` wrote.

    Returns:
        The checkpoint; `None` if there was never one.

    Raises:
        InputError: If there are some, all damaged.
    """
    paths = _newest_first(folder)
    for path in paths:
        try:
            return read(path)
        except InputError as error:
            _logger.warning(str(error))
    if paths:
        raise InputError(
            "No checkpoint is whole, so this run cannot go on: start again in "
            f"another directory. Received: {str(folder)!r}"
        )
    return None


def read(path: Path) -> Checkpoint:
    """Reads one checkpoint, as data: nothing in it is executed.

    Raises:
        InputError: If it is damaged.
    """

    def refuse(why: str) -> InputError:
        return InputError(
            f"This checkpoint is damaged. Received: {str(path)!r} ({why})"
        )

    try:
        if path.stat().st_size > _LARGEST:
            raise refuse("it is too large")
        line, _, content = path.read_bytes().partition(b"\n")
        digest = hashlib.sha256(content).hexdigest()
        if line != _MAGIC + digest.encode():
            raise refuse("its content does not fit its checksum")
        # Nothing in it is compressed: it holds no more than it has bytes.
        arrays = array_files.read_npz(io.BytesIO(content), None, len(content))
        notes = json.loads(str(arrays.pop("notes")))
        step = notes.pop("step")
        if type(step) is not int or step < 0:
            raise refuse(f"its step is {step!r}")
        variables: dict[str, list[np.ndarray]] = {}
        for name, array in arrays.items():
            variables.setdefault(name.split(".")[0], []).append(array)
    except InputError:
        raise
    except Exception as error:
        # A damaged archive surfaces as any of a dozen exceptions.
        raise refuse(f"{type(error).__name__}: {error}") from error
    return Checkpoint(step, variables, notes)


def _variables(model: keras.Model) -> dict[str, list]:
    return {
        "weights": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.ckpt"), reverse=True)
