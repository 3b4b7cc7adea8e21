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
import itertools
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import cast

import keras
import numpy as np

from keras_mnist_sum.data import array_files
from keras_mnist_sum.distribution import replica_values
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils.regular_files import open_regular

KEEP = 3
_MAGIC = b"keras_mnist_sum checkpoint "
_GROUPS = ("weights", "optimizer", "metrics")  # of the model
_LARGEST = 4 * 2**30  # bytes

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """What was saved after a step.

    Attributes:
        step: Optimizer steps done.
        variables: Arrays by group, in the order of the model's own lists:
            `weights` (with the states of random generators), `optimizer` and
            `metrics` (the running epoch's, of each replica); and `callbacks`,
            the best weights that they remember.
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
            expected = [
                (tuple(x.shape), stored_dtype(x.dtype)) for x in variables
            ]
            own_axis = int(group == "metrics")  # that of replicas
            found = [(x.shape[own_axis:], str(x.dtype)) for x in arrays]
            for index, (one, other) in enumerate(
                itertools.zip_longest(found, expected)
            ):
                if one != other:
                    raise InputError(
                        "The checkpoint is of another model: its code has "
                        f"changed since. Received: {one} as number {index} of "
                        f"{group}, not {other}"
                    )
        for group in groups:
            variables = _variables(model)[group]
            arrays = self.variables.get(group, [])
            if group == "metrics":
                replica_values.assign(model, variables, arrays)
            else:
                for variable, array in zip(variables, arrays, strict=True):
                    variable.assign(array)


def stored_dtype(dtype: Any) -> str:
    """In which a file has a variable: NumPy writes no bfloat16, and float32
    holds each of its numbers."""
    name = keras.backend.standardize_dtype(dtype)
    return "float32" if name == "bfloat16" else name


def capture(model: keras.Model) -> dict[str, Any]:
    """What a checkpoint holds of a compiled model: arrays by name.

    Where several processes train, all must call this together.
    """
    arrays = {}
    for group, variables in _variables(model).items():
        if group == "metrics":
            values = replica_values.read(model, variables)
        else:
            values = [keras.ops.convert_to_numpy(x) for x in variables]
        for index, value in enumerate(values):
            dtype = stored_dtype(value.dtype)
            arrays[f"{group}.{index}"] = value.astype(dtype, copy=False)
    return arrays


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
    written = folder / f"step-{step:09d}.ckpt"
    with (
        atomic_files.atomic_write(written) as aside,
        open(aside, "wb") as file,
    ):
        file.write(_MAGIC + digest.encode() + b"\n")
        file.write(content.getbuffer())
    others = [path for path in _newest_first(folder) if path != written]
    # Newer ones, which the run did not believe, are the first to go.
    newer = [path for path in others if _order(path) > _order(written)]
    for path in [*newer, *others[len(newer) + KEEP - 1 :]]:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _logger.warning(
                "an old checkpoint cannot be removed: "
                f"{str(path)!r} ({error.strerror or error})"
            )


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
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _LARGEST:
                raise refuse("it is too large")
            line = file.readline(200)
            reader = cast(io.BufferedReader, file)
            digest = hashlib.file_digest(reader, "sha256").hexdigest()
            if line != _MAGIC + digest.encode() + b"\n":
                raise refuse("its content does not fit its checksum")
            # Nothing in it is compressed: it holds no more than it has bytes.
            arrays = array_files.read_npz(file, None, size)
        notes = json.loads(str(arrays.pop("notes")))
        step = notes.pop("step")
        if type(step) is not int or step < 0:
            raise refuse(f"its step is {step!r:.20}")
        variables: dict[str, list[np.ndarray]] = {}
        for name, array in arrays.items():
            group = variables.setdefault(name.partition(".")[0], [])
            known = [f"{x}.{len(group)}" for x in (*_GROUPS, "callbacks")]
            if name not in known:
                raise refuse(f"it has a part {name!r:.80}")
            is_metric = group is variables.get("metrics")
            if array.dtype.kind not in "fiub" or not (
                is_metric or np.isfinite(array).all()
            ):
                raise refuse(f"{name} is not of finite numbers")
            if is_metric and not array.ndim:
                raise refuse(f"{name} is not that of replicas")
            group.append(array)
    except InputError:
        raise
    except Exception as error:
        # A damaged archive surfaces as any of a dozen exceptions.
        raise refuse(f"{type(error).__name__}: {error}") from error
    return Checkpoint(step, variables, notes)


def _variables(model: keras.Model) -> dict[str, list]:
    groups = (
        model.variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    return dict(zip(_GROUPS, groups, strict=True))


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.ckpt"), key=_order, reverse=True)


def _order(path: Path) -> tuple[int, str]:
    return len(path.name), path.name  # A step of ten digits comes last.
