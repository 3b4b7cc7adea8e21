"""Whether what is logged can be written."""

from typing import Any

import keras

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown


class CheckLogs(keras.callbacks.Callback):
    """Refuses what metrics and callbacks of the user log, unless it is numbers.

    Its place is after them, and before what writes the logs.
    """

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for name, value in logs.items():
            try:
                usable = isinstance(name, str)
                logs[name] = float(value)
            except Exception:
                usable = False
            if not usable:
                raise InputError(
                    "What metrics and callbacks log after an epoch must be "
                    f"numbers by name. Received: {shown(name)}: {shown(value)}"
                )
        if "loss" not in logs:
            raise InputError(
                "Callbacks must leave the loss in the logs. "
                f"Received: logs of {shown(list(logs))}"
            )
