"""What TensorBoard shows of a run, in files that are whole or absent.

`tf.summary` appends to one file for as long as a process lives: after a kill,
what came after the last checkpoint is in there and would be written again. So
each epoch has files of its own here, which come before the checkpoint that
counts the epoch, and whose names follow from its number: an epoch that is
trained again replaces its files.
"""

import contextlib
import dataclasses
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import contract
from keras_mnist_sum.models.build import in_float32
from keras_mnist_sum.models.build import learned_tables
from keras_mnist_sum.reporting.charts import TEXT
from keras_mnist_sum.reporting.charts import WRONG
from keras_mnist_sum.reporting.charts import draw_table
from keras_mnist_sum.reporting.charts import signed
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils.quiet import system_errors

TRAIN, HELD_OUT = "train", "held_out"  # TensorBoard calls each a run
_POINTS = 200  # of a whole run, on the curves of training
_SAMPLES = 10


def check_installed() -> None:
    """Checks that TensorBoard is there, without importing it.

    Raises:
        InputError: If it is not.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "`tensorboard` needs a package that is not installed: pip install "
            f"'tensorboard>=2.21,<2.22'. Received: {sys.executable}"
        )


class Summaries:
    """Writes curves, pictures and the config of a run for TensorBoard.

    Training is a curve of some 200 points and one at the end of each epoch,
    each the mean over the steps since the one before; held-out images are
    scored once an epoch. After each epoch come answers to ten images, and the
    learned tables.

    Args:
        folder: Where to write.
        config: The run.
        images: uint8 array of shape `(examples, 28, 28)`, to answer some of.
        labels: Integer array of shape `(examples,)`.
        rows: The epochs so far, as the history has them. Files of later ones
            are removed; of those that lack files, the means are written.
        points: The `points` of the running epoch, if it was interrupted.

    Attributes:
        points: Of the running epoch: steps done in it, and the means so far.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        images: np.ndarray,
        labels: np.ndarray,
        rows: list[dict],
        points: list[dict],
    ):
        self.folder = folder
        self.config = config
        # Spread over the set, which may be sorted.
        chosen = np.linspace(0, len(images) - 1, _SAMPLES).astype(int)
        self.images, self.labels = images[chosen], labels[chosen]
        self.points = points
        self.spacing = -(-config.steps // _POINTS)
        self.copy: keras.Model | None = None
        for path in folder.rglob(_name("epoch-" + 6 * "[0-9]")):
            if int(path.name.rpartition("-")[2]) > len(rows):
                path.unlink()
        _write_config(folder, config)
        for row in rows:
            if not self._path(TRAIN, row["epoch"]).exists():
                self._write(row, [])

    def step(
        self,
        step: int,
        done: int,
        last: bool,
        rate: Callable[[], float],
        logs: dict,
    ) -> None:
        """Takes what training is at after a step.

        Args:
            step: Steps of the run.
            done: Steps of the epoch.
            last: Whether the epoch ends here.
            rate: Gives the learning rate.
            logs: Means over the epoch so far.
        """
        if last or step % self.spacing == 0:
            means = {name: float(value) for name, value in logs.items()}
            point = {"step": step, "done": done, "learning_rate": rate()}
            self.points.append({**point, **means})

    def epoch(self, row: dict, model: keras.Model) -> None:
        """Writes the files of an epoch that has ended.

        Args:
            row: As the history has it.
            model: As it is after the epoch.
        """
        self._write(row, _between(self.points), model)
        self.points = []

    def _write(self, row, points, model=None):
        held_out = {
            name.removeprefix("val_"): value
            for name, value in row.items()
            if name.startswith("val_")
        }
        if held_out:
            with _event_file(self._path(HELD_OUT, row["epoch"])):
                _write_scalars(row["step"], held_out)
        with _event_file(self._path(TRAIN, row["epoch"])):
            for point in points or [row]:
                _write_scalars(point["step"], point)
            if model:
                self._write_pictures(row["step"], model)

    def _write_pictures(self, step, model):
        if self.copy is None:
            # In a copy: nothing that is done to show a model can change it.
            self.copy = in_float32(model)
        else:
            self.copy.set_weights(model.get_weights())
        outputs = task.outputs(self.config.difference)
        numbers = np.arange(len(self.images)) * 3 % task.NUM_DIGITS
        # Called as it is: ten images are not worth tracing a function.
        predictions = self.copy(
            contract.model_inputs(self.images, numbers), training=False
        )
        answers = {
            name: output.answers(keras.ops.convert_to_numpy(predictions[name]))
            for name, output in outputs.items()
        }
        figure = _draw_samples(
            *(self.images, self.labels, numbers, answers),
            self.config.difference,
        )
        tf.summary.image("samples", _pixels(figure), step)
        for name, table in learned_tables(self.copy).items():
            figure = _draw_table(table, outputs[name])
            tf.summary.image(f"tables/{name}", _pixels(figure), step)

    def _path(self, run, epoch):
        return self.folder / run / _name(f"epoch-{epoch:06d}")


def _name(what: str) -> str:
    # TensorBoard takes files whose names contain "tfevents", in their order.
    return f"events.out.tfevents.{what}"


@contextlib.contextmanager
def _event_file(path: Path) -> Iterator[None]:
    """What the block tells `tf.summary` becomes the file `path`."""
    with (
        atomic_files.written_aside(path) as aside,
        tempfile.TemporaryDirectory() as folder,
    ):
        with system_errors():
            writer = tf.summary.create_file_writer(folder)
            with writer.as_default():
                yield
            writer.close()
        [written] = Path(folder).iterdir()
        shutil.copyfile(written, aside)


def _write_config(folder: Path, config: Config) -> None:
    from tensorboard.plugins.hparams import api

    values = {
        name: "" if value is None else value
        for name, value in dataclasses.asdict(config).items()
    }
    with _event_file(folder / _name("config")):
        api.hparams(values, trial_id=folder.absolute().parent.name)
        text = "\n".join(f"    {x}" for x in config.to_json().splitlines())
        tf.summary.text("config", text, step=0)


def _write_scalars(step: int, values: dict) -> None:
    """`digit_loss` becomes `loss/digit`: one chart beside the other."""
    for name, value in values.items():
        output, _, kind = name.rpartition("_")
        if name == "learning_rate":
            tf.summary.scalar(name, value, step)
        elif name == "loss":
            tf.summary.scalar("loss/total", value, step)
        elif output in task.outputs():
            tf.summary.scalar(f"{kind}/{output}", value, step)


def _between(points: list[dict]) -> list[dict]:
    """Means over the steps between points, from means since the epoch began.

    Batches are of one size, so that the mean over all of them is the mean of
    their means.
    """
    means, before = [], dict.fromkeys(points[0], 0)
    for point in points:
        steps = point["done"] - before["done"]
        mean = {
            name: (value * point["done"] - before[name] * before["done"])
            / steps
            for name, value in point.items()
        }
        for name in ("step", "learning_rate"):
            mean[name] = point[name]
        means.append(mean)
        before = point
    return means


def _draw_samples(images, labels, numbers, answers, difference):
    """Answers to images, each with one number; wrong ones in colour."""
    figure = Figure(figsize=(8, 4.2), dpi=100, layout="constrained")
    outputs = task.outputs(difference)
    for i, (number, label) in enumerate(zip(numbers, labels)):
        said = {name: answers[name][i] for name in outputs}
        right = all(
            said[name] == output.truth[label, number]
            for name, output in outputs.items()
        )
        axes = figure.add_subplot(2, 5, i + 1)
        axes.imshow(images[i], cmap="gray_r")
        axes.set_axis_off()
        written = task.written(said["digit"], number, difference)
        lines = [
            f"{text} = {signed(said[name])}" for name, text in written.items()
        ]
        axes.set_title(
            "\n".join(lines + [f"it is a {label}"] * (not right)),
            fontsize=10,
            color=TEXT if right else WRONG,
            fontweight="normal" if right else "bold",
        )
    return figure


def _draw_table(table, output):
    """How likely the true value of each (digit, number) cell is held to be,
    and which value is held to be the most likely one."""
    figure = Figure(figsize=(5, 5.2), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    digit, number = np.indices(output.table.shape)
    shares = table[digit, number, output.table]  # (10, 10)
    values = output.answers(table)
    cells = draw_table(axes, values, output, shares)
    figure.colorbar(cells, label="probability of the true value", shrink=0.7)
    right = int((values == output.truth).sum())
    axes.set_title(f"{output.name}: {right} of 100 cells right")
    return figure


def _pixels(figure: Figure) -> np.ndarray:
    """uint8 array of shape `(1, height, width, 3)`."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[np.newaxis, ..., :3]
