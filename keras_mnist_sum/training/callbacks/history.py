"""Writes `history.csv`, a row an epoch."""

import csv
import io
from pathlib import Path
from typing import Any

import keras

from keras_mnist_sum.training.state import RunState
from keras_mnist_sum.training.state import learning_rate
from keras_mnist_sum.utils.atomic_files import write_text


class WriteHistory(keras.callbacks.Callback):
    """Adds a row to `state.history` after each epoch, and writes all of them.

    A row has `epoch`, `step`, `seconds`, `learning_rate` and what Keras logs,
    with what other callbacks added to that.

    Args:
        path: The CSV file; `None` writes nothing.
        state: Where the run is.
    """

    def __init__(self, *, path: Path | None, state: RunState) -> None:
        super().__init__()
        self.path = path
        self.state = state

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.state.tick()
        row = {
            "epoch": epoch + 1,
            "step": self.state.step,
            "seconds": round(self.state.seconds, 2),
            "learning_rate": learning_rate(self.model),
        }
        for name, value in logs.items():
            row.setdefault(name, float(value))
        self.state.history.append(row)
        if self.path:
            write_text(self.path, _to_csv(self.state.history))


def _to_csv(rows: list[dict[str, Any]]) -> str:
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), "nan", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
