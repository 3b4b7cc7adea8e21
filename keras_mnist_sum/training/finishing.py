"""What a run leaves behind when its last step is done."""

from collections.abc import Callable
from pathlib import Path

import keras

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import Mnist
from keras_mnist_sum.evaluation import evaluate
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.formats import saved_model
from keras_mnist_sum.models.build import in_float32
from keras_mnist_sum.models.build import learned_tables
from keras_mnist_sum.reporting import curves
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.utils import atomic_files


def finish(
    model: keras.Model,
    mnist: Mnist,
    config: Config,
    run_dir: Path,
    cost: dict,
    say: Callable,
) -> None:
    """Saves, exports, scores and draws a trained model.

    `results.json` comes last: with it, a run is finished.

    Args:
        model: The model, trained to the last step.
        mnist: The data; the test set is scored here, once.
        config: The run.
        run_dir: Its directory, with a `history.csv`.
        cost: What training took, for `results.json`.
        say: Called with what a person is to read.
    """
    model = in_float32(model)
    with atomic_files.written_aside(run_dir / run_directory.MODEL) as aside:
        model.save(aside)
    if not (run_dir / run_directory.SAVED_MODEL).exists():
        saved_model.export_saved_model(
            model, run_dir / run_directory.SAVED_MODEL
        )

    answers = evaluate.ask(
        evaluate.answerer_of_model(model),
        *(mnist.test_images, mnist.test_labels, config.difference),
    )
    scored = answers.evaluation
    report = {
        "data": mnist.description,
        **scored.to_dict(),
        "table_cells_right": evaluate.table_cells_right(
            model, config.difference
        ),
        **cost,
    }
    say(
        f"\ntest   {mnist.description}: {scored.images:,} images x "
        f"{task.NUM_DIGITS} numbers = {scored.pairs:,} pairs; trained in "
        f"{cost['training_seconds']:.0f} s\n\n{scored.table()}\n"
    )
    title = f"{config.preset}: {scored.title()}\n{mnist.description}"
    overview = image_grids.overview(answers, learned_tables(model), title)
    with atomic_files.written_aside(run_dir / run_directory.OVERVIEW) as aside:
        overview.savefig(aside)
    curves.save_curves(
        run_dir / run_directory.CURVES, run_dir / run_directory.HISTORY, config
    )
    atomic_files.write_text(
        run_dir / run_directory.RESULTS, evaluate.to_json(report)
    )
