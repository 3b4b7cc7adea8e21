"""What a run leaves behind when its last step is done."""

import json
import logging

import keras

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.evaluation.evaluate import predict_all_pairs
from keras_mnist_sum.evaluation.evaluate import table_cells_correct
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.models.build import learned_tables
from keras_mnist_sum.reporting import curves
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.training.optimization import sample_learning_rates
from keras_mnist_sum.utils.atomic_files import atomic_write
from keras_mnist_sum.utils.atomic_files import write_text

_logger = logging.getLogger(__name__)


def finish(
    model: keras.Model, run: Run, config: Config, mnist: Mnist, cost: dict
) -> None:
    """Saves, exports, scores and draws a trained model.

    What an earlier call wrote is left as it is.

    Args:
        model: The model, trained to the last step.
        run: Its directory, with a history.
        config: The run.
        mnist: The data; the test set is scored here.
        cost: What training took, for `results.json`.

    Raises:
        InputError: If the system refuses to write, or an exported model does
            not answer as `model` does.
    """
    model = copy_model(model, "float32")  # What is scored is what is saved.
    if not run.model.exists():
        export(model, run.path, "keras")
    if keras.backend.backend() != "tensorflow":
        _logger.warning(
            "a SavedModel is written by Keras's TensorFlow backend alone: "
            f"load {str(run.model)!r} there and export it"
        )
    elif not run.saved_model.exists():
        export(model, run.path, "saved_model")

    predictions = predict_all_pairs(model, mnist.test_images, mnist.test_labels)
    # Before the pictures: whatever happens to them, the scores are there.
    if not run.is_scored:
        cells = table_cells_correct(model, config.task)
        report = {
            "data": mnist.description,
            **predictions.scores.to_dict(),
            "table_cells_right": cells,
            **cost,
        }
        write_text(run.results, json.dumps(report, indent=2) + "\n")
        _logger.info(_summary(predictions, mnist, cost["training_seconds"]))
    _draw(model, run, config, mnist, predictions)


def _summary(predictions: Predictions, mnist: Mnist, seconds: float) -> str:
    scores = predictions.scores
    return (
        f"\ntest   {mnist.description}: {scores.images:,} images x "
        f"{NUM_DIGITS} numbers = {scores.pairs:,} pairs; trained in "
        f"{seconds:.0f} s\n\n{scores.table()}\n"
    )


def _draw(
    model: keras.Model,
    run: Run,
    config: Config,
    mnist: Mnist,
    predictions: Predictions,
) -> None:
    accuracies = predictions.scores.title()
    if not run.overview.is_file():
        title = f"{config.preset}: {accuracies}\n{mnist.description}"
        tables = learned_tables(model)
        figure = image_grids.overview(predictions, tables, title)
        with atomic_write(run.overview) as aside:
            figure.savefig(aside)
    if not run.curves.is_file():
        title = (
            f"{config.preset}: {config.steps:,} steps of {config.batch_size}, "
            f"{config.head} heads"
        )
        rates = sample_learning_rates(config)
        curves.save_curves(run.curves, run.history, config.task, title, rates)
