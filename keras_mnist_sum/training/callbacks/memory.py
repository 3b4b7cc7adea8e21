"""What Keras's own callbacks remember of a run, for its checkpoints."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.training.checkpoints import Checkpoint
from keras_mnist_sum.training.checkpoints import stored_dtype

_REMEMBER = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.ReduceLROnPlateau,
)
_NUMBERS = ("best", "best_epoch", "cooldown_counter", "wait")


class Memory(keras.callbacks.Callback):
    """Gives callbacks back what they knew when a checkpoint was saved: the best
    value so far, the weights it came with, and how long ago that was.

    Its place is after them, since they begin a training by forgetting. Other
    callbacks than those that the checkpoint is of begin anew.

    Args:
        callbacks: The user's own.
        restored: Where the run goes on from.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        restored: Checkpoint | None = None,
    ) -> None:
        super().__init__()
        self.callbacks = [x for x in callbacks if isinstance(x, _REMEMBER)]
        self.restored = restored

    def on_train_begin(self, logs: Any = None) -> None:
        if self.restored is None:
            return
        saved = self.restored.notes.get("callbacks", [])
        arrays = self.restored.variables.get("callbacks", [])
        try:
            classes = [notes["class"] for notes in saved]
            if classes != [type(x).__name__ for x in self.callbacks]:
                return
            for callback, notes in zip(self.callbacks, saved, strict=True):
                for name in {*_NUMBERS} & {*notes["numbers"]}:
                    setattr(callback, name, notes["numbers"][name])
                if count := notes["weights"]:
                    callback.best_weights, arrays = (
                        arrays[:count],
                        arrays[count:],
                    )
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(
                "The checkpoint is not one of this run: start again in another "
                f"directory. Received: notes of callbacks, {error}"
            ) from error

    def notes(self) -> list[dict[str, Any]]:
        """What they remember, as JSON has it."""
        return [
            {
                "class": type(callback).__name__,
                "numbers": {
                    name: _number(value)
                    for name, value in vars(callback).items()
                    if name in _NUMBERS
                },
                "weights": len(_best_weights(callback)),
            }
            for callback in self.callbacks
        ]

    def arrays(self) -> dict[str, np.ndarray]:
        """The best weights that they remember, by name."""
        every = [x for each in self.callbacks for x in _best_weights(each)]
        return {
            f"callbacks.{index}": x.astype(stored_dtype(x.dtype), copy=False)
            for index, x in enumerate(every)
        }


def _best_weights(callback: keras.callbacks.Callback) -> list[np.ndarray]:
    return getattr(callback, "best_weights", None) or []


def _number(value: Any) -> int | float | None:
    return value if value is None or isinstance(value, int) else float(value)
