"""What TensorBoard shows of a run, in files that are whole or absent.

`tf.summary` appends to one file for as long as a process lives: after a kill,
that file has steps after the last checkpoint, which would be written again. So
each epoch has files of its own here. They come before the checkpoint that
counts the epoch, and are named by its number: an epoch that is trained again
replaces its files.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_mnist_sum.config import Config
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.models.build import learned_tables
from keras_mnist_sum.reporting.samples import draw_samples
from keras_mnist_sum.reporting.samples import draw_table
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task
from keras_mnist_sum.training.callbacks.history import means_between
from keras_mnist_sum.training.state import RunState
from keras_mnist_sum.training.state import learning_rate
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils.quiet import system_errors

TRAIN, VALIDATION = "train", "validation"
_SAMPLES = 10


class WriteSummaries(keras.callbacks.Callback):
    """Writes curves, pictures and the config of a run for TensorBoard.

    Training is a curve of the points that `WriteHistory` makes, each the mean
    over the steps since the one before; validation has a point an epoch. After
    each epoch come predictions for ten images, and the learned tables. The
    seconds that this takes are not counted as training.

    Args:
        folder: Where to write. Files of epochs that the run has not done are
            removed; epochs without files get the means of the history.
        config: The run.
        images: uint8 array of shape `(examples, 28, 28)`, to show some of.
        labels: Integer array of shape `(examples,)`.
        state: Where the run is. Its points get the learning rate here.
    """

    def __init__(
        self,
        *,
        folder: Path,
        config: Config,
        images: np.ndarray,
        labels: np.ndarray,
        state: RunState,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.config = config
        self.task = config.task
        # Spread over the set, which may be sorted.
        chosen = np.linspace(0, len(images) - 1, _SAMPLES).astype(int)
        self.images, self.labels = images[chosen], labels[chosen]
        self.state = state
        self.copy: keras.Model | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        rows = self.state.history
        with self.state.untimed():
            for path in self.folder.glob(_name("epoch-" + 6 * "[0-9]")):
                if int(path.name.rpartition("-")[2]) > len(rows):
                    path.unlink()
            self._write_config()
            for row in rows:
                if not self._path(row["epoch"]).exists():
                    self._write_epoch(row, [row])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        points = self.state.points
        if points and points[-1]["step"] == self.state.step:
            points[-1]["learning_rate"] = learning_rate(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.on_train_batch_end(0)  # A point may have come since.
        state = self.state
        row = {**logs, "epoch": epoch + 1, "step": state.step}
        begin = state.step - state.steps_in_epoch
        points = [x for x in state.points if x["step"] > begin]
        with state.untimed():
            self._write_epoch(row, means_between(points), self.model)

    def _write_epoch(
        self, row: dict, points: list[dict], model: keras.Model | None = None
    ) -> None:
        validation = {
            name.removeprefix("val_"): value
            for name, value in row.items()
            if name.startswith("val_")
        }
        with _event_file(self._path(row["epoch"])):
            for point in points:
                self._write_scalars(point["step"], point, TRAIN)
            self._write_scalars(row["step"], validation, VALIDATION)
            if model:
                self._write_pictures(row["step"], model)

    def _write_scalars(
        self, step: int, values: dict[str, float], kind: str
    ) -> None:
        """`digit_loss` becomes `loss/digit/train`: one chart beside the
        other."""
        for name, value in values.items():
            # Names of outputs and measures may hold `_`, too.
            outputs = [x for x in self.task if name.startswith(f"{x}_")]
            output = max(outputs, key=len, default="")
            measure = name[len(output) + 1 :]
            if name == "learning_rate":
                tf.summary.scalar(name, value, step)
            elif name == "loss":
                tf.summary.scalar(f"loss/total/{kind}", value, step)
            elif output:
                tf.summary.scalar(f"{measure}/{output}/{kind}", value, step)

    def _write_pictures(self, step: int, model: keras.Model) -> None:
        # Of a copy: nothing that is done to show a model can change it.
        copy = self.copy or copy_model(model, "float32")
        copy.set_weights(model.get_weights())
        self.copy = copy
        numbers = np.arange(len(self.images)) * 3 % NUM_DIGITS
        # Called as it is: ten images are not worth tracing a function.
        outputs = copy(model_inputs(self.images, numbers), training=False)
        predicted = {
            name: output.decode(keras.ops.convert_to_numpy(outputs[name]))
            for name, output in self.task.items()
        }
        figure = draw_samples(
            self.images, self.labels, numbers, predicted, self.task
        )
        tf.summary.image("samples", _pixels(figure), step)
        for name, table in learned_tables(copy).items():
            figure = draw_table(table, self.task[name], step)
            tf.summary.image(f"tables/{name}", _pixels(figure), step)

    def _write_config(self) -> None:
        from tensorboard.plugins.hparams import api

        values = {
            name: value
            if isinstance(value, bool | int | float)
            else _text(value)
            for name, value in vars(self.config).items()
        }
        with _event_file(self.folder / _name("config")):
            api.hparams(values, trial_id=self.folder.absolute().parent.name)
            lines = self.config.to_json().splitlines()
            text = "\n".join(f"    {line}" for line in lines)
            tf.summary.text("config", text, step=0)
            _write_summary(_layout(self.task))

    def _path(self, epoch: int) -> Path:
        return self.folder / _name(f"epoch-{epoch:06d}")


def write_scores(folder: Path, results: dict[str, Any]) -> None:
    """Adds the final accuracies, which the page HPARAMS shows of each run.

    Args:
        folder: As for `WriteSummaries`.
        results: What `results.json` holds.
    """
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams import summary

    scores = {"test": results, VALIDATION: results.get("validation")}
    with _event_file(folder / _name("scores")):
        for kind, found in scores.items():
            for name, share in (found or {}).get("accuracy", {}).items():
                tf.summary.scalar(
                    f"{kind}_accuracy/{name}", share, results["steps"]
                )
        _write_summary(summary.session_end_pb(api_pb2.STATUS_SUCCESS))


def _layout(task: Task) -> Any:
    """Charts that show training and validation together, for the page CUSTOM
    SCALARS."""
    from tensorboard.plugins.custom_scalar import layout_pb2
    from tensorboard.plugins.custom_scalar import summary

    def chart(tag: str) -> Any:
        lines = layout_pb2.MultilineChartContent(tag=[f"^{tag}/"])
        return layout_pb2.Chart(title=tag, multiline=lines)

    categories = [
        layout_pb2.Category(
            title=measure, chart=[chart(f"{measure}/{name}") for name in names]
        )
        for measure, names in {
            "loss": ["total", *task],
            "accuracy": list(task),
        }.items()
    ]
    return summary.pb(layout_pb2.Layout(category=categories))


def _write_summary(summary: Any) -> None:
    """Writes what a plugin of TensorBoard made."""
    tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=0)


def _name(what: str) -> str:
    # TensorBoard takes files whose names contain "tfevents", in their order.
    return f"events.out.tfevents.{what}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return json.dumps(value)
    return value if isinstance(value, str) else ",".join(value)  # names


@contextlib.contextmanager
def _event_file(path: Path) -> Iterator[None]:
    """What the block tells `tf.summary` becomes the file `path`."""
    with (
        atomic_files.atomic_write(path) as aside,
        tempfile.TemporaryDirectory() as folder,
    ):
        with system_errors():
            writer = tf.summary.create_file_writer(folder)
            with writer.as_default():
                yield
            writer.close()
        [written] = Path(folder).iterdir()
        shutil.copyfile(written, aside)


def _pixels(figure: Figure) -> np.ndarray:
    """uint8 array of shape `(1, height, width, 3)`."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[np.newaxis, ..., :3]
