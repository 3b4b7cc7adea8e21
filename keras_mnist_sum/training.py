"""`train(config, run_dir)`: from a config to a trained and exported model."""

import csv
import dataclasses
import io
import math
import time
from pathlib import Path

import keras

from keras_mnist_sum import environment
from keras_mnist_sum import evaluation
from keras_mnist_sum import exporting
from keras_mnist_sum import pipeline
from keras_mnist_sum import plots
from keras_mnist_sum import runs
from keras_mnist_sum import task
from keras_mnist_sum.compiling import compile_model
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models import build_model
from keras_mnist_sum.models import count_multiply_adds
from keras_mnist_sum.progress import Progress
from keras_mnist_sum.sources import load_mnist


def train(config: Config, run_dir: str | Path, verbose: int = 1) -> dict:
    """Trains the model that `config` describes and writes a run directory.

    The directory receives `config.json`, `environment.json`, `history.csv`
    (a row an epoch), `model.keras`, `saved_model/1/`, `overview.png` and
    `results.json`. The test set is scored once, after the last step.

    Args:
        config: The run.
        run_dir: Where to write: a new or empty directory.
        verbose: 0 prints nothing, 1 says what happens.

    Returns:
        What `results.json` holds: the counts of `evaluation.Evaluation`, the
        right cells of each learned table, and the cost.

    Raises:
        InputError: If the data or the directory cannot be used.
    """
    run_dir = Path(run_dir)
    say = print if verbose else _say_nothing
    runs.check_new(run_dir)
    mnist = load_mnist(config.data, config.data_dir)
    if mnist.warning:
        say(f"WARNING: {mnist.warning}")
    config = dataclasses.replace(
        config, data=mnist.source, data_dir=mnist.data_dir
    )
    examples = mnist.hold_out(config.validation_fraction)
    images, labels, held_out_images, held_out_labels = examples

    keras.utils.set_random_seed(config.seed)
    model = compile_model(build_model(config), config)
    dataset = pipeline.training_dataset(images, labels, config)
    held_out = None
    if len(held_out_images):
        held_out = pipeline.validation_dataset(
            held_out_images, held_out_labels, config
        )
    # The fewest whole batches that pass over all images; the last epoch of a
    # run may be shorter.
    steps_per_epoch = -(-len(images) // config.batch_size)
    cost = {
        "parameters": model.count_params(),
        "multiply_adds": count_multiply_adds(model),
        "steps": config.steps,
        "epochs": config.steps * config.batch_size / len(images),
    }
    say(
        f"data   {mnist.description}: {len(images):,} images to train on, "
        f"{len(held_out_images):,} held out, {len(mnist.test_images):,} to "
        "test\n"
        f"model  {config.backbone}, {config.head} heads: "
        f"{cost['parameters']:,} parameters, "
        f"{cost['multiply_adds'] / 1e6:.1f} million multiply-adds per image\n"
        f"train  {config.steps:,} steps of {config.batch_size} "
        f"({cost['epochs']:.1f} epochs), {config.optimizer} in "
        f"{config.precision} on "
        f"{environment.device()}\n"
        f"run    {run_dir}\n"
    )
    runs.claim(run_dir, config.to_json())
    runs.write_text(run_dir / runs.ENVIRONMENT, environment.to_json())

    callbacks = [
        _StopAtStep(config.steps),
        _History(run_dir / runs.HISTORY),
        _StopWhenDiverged(),
    ]
    if verbose:
        callbacks.append(
            Progress(task.outputs(config.difference), config.steps)
        )
    start = time.monotonic()
    model.fit(
        dataset,
        epochs=-(-config.steps // steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        validation_data=held_out,
        shuffle=False,
        callbacks=callbacks,
        verbose=0,
    )
    cost["training_seconds"] = round(time.monotonic() - start, 2)

    model = _in_float32(model, config)
    with runs.written_aside(run_dir / runs.MODEL) as aside:
        model.save(aside)
    exporting.export_saved_model(model, run_dir / runs.SAVED_MODEL)

    answerer = evaluation.answerer_of_model(model)
    test = mnist.test_images, mnist.test_labels, config.difference
    scored = evaluation.evaluate(answerer, *test)
    cells = evaluation.table_cells_right(model, config.difference)
    report = {
        "data": mnist.description,
        **scored.to_dict(),
        "table_cells_right": cells,
        **cost,
    }
    runs.write_text(run_dir / runs.RESULTS, evaluation.to_json(report))
    say(
        f"\ntest   {mnist.description}: {scored.images:,} images x "
        f"{task.NUM_DIGITS} numbers = {scored.pairs:,} pairs; trained in "
        f"{cost['training_seconds']:.0f} s\n\n{scored.table()}\n"
    )
    shares = ", ".join(
        f"{name} {100 * share:.2f} %"
        for name, share in scored.accuracy().items()
    )
    plots.save_overview(
        run_dir / runs.OVERVIEW,
        model,
        answerer,
        *test,
        title=f"{config.preset}: {shares} right of {scored.pairs:,} test pairs"
        f"\n{mnist.description}",
    )
    return report


def _in_float32(model: keras.Model, config: Config) -> keras.Model:
    """The same weights in a model that computes in float32, as served."""
    config = dataclasses.replace(config, precision="float32")
    copy = build_model(config)
    copy.set_weights(model.get_weights())
    return copy


class _StopAtStep(keras.callbacks.Callback):
    """Ends `fit` after `steps` steps, in the middle of an epoch if need be."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps
        self.seen = 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen >= self.steps:
            self.model.stop_training = True


class _StopWhenDiverged(keras.callbacks.Callback):
    """Ends `fit` with an error as soon as the loss is no longer a number."""

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            optimizer = self.model.optimizer
            rate = keras.ops.convert_to_numpy(optimizer.learning_rate)
            raise InputError(
                "The loss is no longer finite: try a lower learning rate. "
                f"Received: loss={float(logs['loss'])} at step "
                f"{int(optimizer.iterations)}, learning rate {float(rate):.3g}"
            )


class _History(keras.callbacks.Callback):
    """Writes `history.csv`, whole, after each epoch."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.rows = []

    def on_train_begin(self, logs=None):
        self.start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        self.rows.append(
            {
                "epoch": epoch + 1,
                "step": int(self.model.optimizer.iterations),
                "seconds": round(time.monotonic() - self.start, 2),
                "learning_rate": float(rate),
                **{name: float(value) for name, value in logs.items()},
            }
        )
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        runs.write_text(self.path, text.getvalue())


def _say_nothing(text: str) -> None:
    pass
