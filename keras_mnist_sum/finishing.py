"""What a run leaves behind when its last step is done."""

from collections.abc import Callable
from pathlib import Path

import keras

from keras_mnist_sum import curves
from keras_mnist_sum import evaluation
from keras_mnist_sum import exporting
from keras_mnist_sum import galleries
from keras_mnist_sum import runs
from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.models import in_float32
from keras_mnist_sum.models import learned_tables
from keras_mnist_sum.sources import Mnist


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
    with runs.written_aside(run_dir / runs.MODEL) as aside:
        model.save(aside)
    if not (run_dir / runs.SAVED_MODEL).exists():
        exporting.export_saved_model(model, run_dir / runs.SAVED_MODEL)

    answers = evaluation.ask(
        evaluation.answerer_of_model(model),
        *(mnist.test_images, mnist.test_labels, config.difference),
    )
    scored = answers.evaluation
    report = {
        "data": mnist.description,
        **scored.to_dict(),
        "table_cells_right": evaluation.table_cells_right(
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
    overview = galleries.overview(answers, learned_tables(model), title)
    with runs.written_aside(run_dir / runs.OVERVIEW) as aside:
        overview.savefig(aside)
    curves.save_curves(run_dir / runs.CURVES, run_dir / runs.HISTORY, config)
    runs.write_text(run_dir / runs.RESULTS, evaluation.to_json(report))
