"""The command `evaluate`: scores a model on every test pair."""

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from keras_mnist_sum.commands import checks
from keras_mnist_sum.commands import cli
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.utils import atomic_files

if TYPE_CHECKING:
    from keras_mnist_sum.formats.model_file import OpenedModel

HELP = "score a model on every test pair"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this command takes."""
    parser.description = (
        "Scores a model on every test image with every number 0-9: 100,000 "
        "pairs on the full test set, none dropped or sampled."
    )
    parser.add_argument(
        "target",
        nargs="?",
        type=cli.path,
        metavar="TARGET",
        help="a run directory, a .keras, .onnx or .tflite file or a SavedModel "
        "directory (default: the newest run in runs/; without one, the model "
        "that comes with the package)",
    )
    cli.add_config_arguments(
        parser, ("data", "data_dir"), "the run's; auto for another model"
    )
    cli.add_difference_argument(parser)
    parser.add_argument(
        "--json",
        type=cli.path,
        metavar="FILE",
        help="also write counts and accuracies to FILE, as JSON",
    )
    parser.add_argument(
        "--predictions",
        type=cli.path,
        metavar="FILE",
        help="also write, as an .npz file for NumPy, the labels and "
        "probabilities or values of every pair",
    )
    parser.add_argument(
        "--report",
        nargs="?",
        const="",
        metavar="DIR",
        help="also write a page, DIR/index.html, with mistakes, confusion, "
        "tables and calibration, and its pictures as PNG files (default: the "
        "folder report in the run directory)",
    )


def run(values: argparse.Namespace) -> None:
    """Scores the model, prints a table, and writes what was asked for.

    Raises:
        InputError: If the model, the data or a flag cannot be used.
    """
    newest = None if values.target else Run.newest()
    target = newest.path if newest else values.target
    folder = _checked_outputs(values, target)
    from keras_mnist_sum.formats import pretrained
    from keras_mnist_sum.formats.open import format_of
    from keras_mnist_sum.formats.open import open_model

    target = target or pretrained.checked_path("model.keras")
    format_of(target)  # It refuses what is no model.
    checks.check_data(values.data, values.data_dir)
    checks.check_difference(values.difference)
    print(f"model  {cli.quote(target)}", flush=True)
    opened = open_model(target, values.difference)
    from keras_mnist_sum.utils.quiet import import_tensorflow

    # After a target that is no model was refused.
    import_tensorflow("`evaluate`")
    from keras_mnist_sum.evaluation.evaluate import predict_all_pairs
    from keras_mnist_sum.evaluation.predictions_file import save_predictions
    from keras_mnist_sum.models.build import learned_tables

    mnist = cli.load_data(values, opened.config, test_only=True)
    warnings = [mnist.warning] if mnist.warning else []
    if doubt := cli.doubt_of_sample(mnist, [opened.config]):
        warnings.append(doubt)
        print(f"WARNING: {doubt}")
    print(f"test   {mnist.description}", flush=True)
    predictions = predict_all_pairs(
        opened, mnist.test_images, mnist.test_labels
    )
    scores = predictions.scores
    print(f"\n{scores.table()}")
    if values.json:
        results = {
            "target": str(opened.path),
            "data": mnist.description,
            **scores.to_dict(),
        }
        atomic_files.write_text(
            values.json, json.dumps(results, indent=2) + "\n"
        )
    if values.predictions:
        save_predictions(values.predictions, predictions)
    if folder:
        from keras_mnist_sum.reporting import report

        model = opened.keras_model
        tables = {} if model is None else learned_tables(model)
        facts = {"model": _describe(opened), "data": mnist.description}
        curves = Run(opened.path).curves
        report.save_report(folder, predictions, tables, facts, warnings, curves)
        print(f"\nreport {cli.quote(folder / report.PAGE)}")


def _checked_outputs(
    values: argparse.Namespace, target: Path | None
) -> Path | None:
    """The folder of the report, if there is to be one, after all that is to be
    written was found to be writable."""
    files = [x for x in (values.json, values.predictions) if x]
    for file in files:
        checks.check_output(file, (target, values.data))
    if len({os.path.realpath(file) for file in files}) < len(files):
        raise InputError(
            "--json and --predictions must be two files. "
            f"Received: {str(values.json)!r} and {str(values.predictions)!r}"
        )
    if values.report is None:
        return None
    from keras_mnist_sum.reporting import report  # Imports matplotlib.

    folder = Path(values.report or report.folder_in(target))
    report.check_folder(folder)
    for file in files:
        if _is_within(file, folder):
            flag = "--json" if file == values.json else "--predictions"
            raise InputError(
                "A report has its folder to itself. "
                f"Received: {flag} {str(file)!r} within --report "
                f"{str(folder)!r}"
            )
    return folder


def _describe(opened: "OpenedModel") -> str:
    from keras_mnist_sum.formats import pretrained

    if opened.path.parent == pretrained.FOLDER:
        return "the model that comes with the package"
    config = opened.config
    if config is None:
        return str(opened.path)
    return (
        f"{opened.path}: preset {config.preset}, head {config.head}, "
        f"{config.steps:,} steps of {config.batch_size}, seed {config.seed}"
    )


def _is_within(path: Path, folder: Path) -> bool:
    inner, whole = (Path(os.path.realpath(x)) for x in (path, folder))
    return inner in whole.parents or whole in (inner, *inner.parents)
