"""What a run leaves behind when its last step is done."""

import json
import logging

import keras

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.evaluation.evaluate import predict_all_pairs
from keras_mnist_sum.evaluation.evaluate import table_cells_correct
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.evaluation.scores import Scores
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.models.build import learned_tables
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.training.optimization import sample_learning_rates
from keras_mnist_sum.training.origin import data_digests
from keras_mnist_sum.utils.atomic_files import atomic_write
from keras_mnist_sum.utils.atomic_files import write_text

_logger = logging.getLogger(__name__)


def finish(
    model: keras.Model,
    run: Run,
    config: Config,
    mnist: Mnist,
    cost: dict,
    tensorboard: bool = False,
) -> None:
    """Saves, exports, scores and draws a trained model.

    What an earlier call wrote is left as it is.

    Args:
        model: The model, trained to the last step.
        run: Its directory, with a history.
        config: The run.
        mnist: The data; the test set is scored here.
        cost: What training took, for `results.json`.
        tensorboard: Whether to write the scores as a summary, too.

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
        split = mnist.split(config.validation_fraction)
        held_out = None
        if len(split.validation_images):
            held_out = predict_all_pairs(
                model, split.validation_images, split.validation_labels
            ).scores
        report = {
            "data": mnist.description,
            "data_sha256": data_digests(mnist, config),
            **predictions.scores.to_dict(),
            "validation": held_out and held_out.to_dict(),
            "table_cells_right": cells,
            **cost,
        }
        write_text(run.results, json.dumps(report, indent=2) + "\n")
        trained = f"trained in {cost['training_seconds']:.0f} s"
        if whole := cost.get("training_seconds_with_teachers"):
            trained += f", {whole:.0f} s with its teachers"
        if cost["steps"] < config.steps:
            trained += f", ended by a callback after step {cost['steps']:,}"
        _logger.info(_summary(predictions.scores, held_out, mnist, trained))
    if tensorboard:
        from keras_mnist_sum.training.callbacks.tensorboard import write_scores

        write_scores(run.tensorboard, run.read_results())
    _draw(model, run, config, mnist, predictions)


def _summary(
    test: Scores, held_out: Scores | None, mnist: Mnist, trained: str
) -> str:
    summary = (
        f"\ntest   {mnist.description}: {test.images:,} images x "
        f"{NUM_DIGITS} numbers = {test.pairs:,} pairs; {trained}\n\n"
        f"{test.table()}\n"
    )
    if held_out:
        shares = ", ".join(
            f"{name} {100 * share:.2f} %"
            for name, share in held_out.accuracy().items()
        )
        summary += (
            f"\nvalidation, {held_out.images:,} images x {NUM_DIGITS} numbers: "
            f"{shares}\n"
        )
    return summary


def _draw(
    model: keras.Model,
    run: Run,
    config: Config,
    mnist: Mnist,
    predictions: Predictions,
) -> None:
    # Not before the training, which would begin later.
    from keras_mnist_sum.reporting import curves
    from keras_mnist_sum.reporting import image_grids

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
        curves.save_curves(
            run.curves, run.history, config.task, title, rates, run.steps
        )
