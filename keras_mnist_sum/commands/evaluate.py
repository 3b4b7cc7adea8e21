"""The command `evaluate`: scores a model on every test pair."""

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

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
    if values.json:
        cli.check_output(values.json, (target, values.data))
    folder = None
    if values.report is not None:
        from keras_mnist_sum.reporting import report  # Imports matplotlib.

        folder = Path(values.report or report.folder_in(target))
        report.check_folder(folder)
        if values.json and _is_within(values.json, folder):
            raise InputError(
                "A report has its folder to itself. "
                f"Received: --json {str(values.json)!r} within --report "
                f"{str(folder)!r}"
            )
    from keras_mnist_sum.formats.open import open_model

    opened = open_model(target, values.difference)
    from keras_mnist_sum.utils.quiet import import_tensorflow

    import_tensorflow()  # After a target that is no model was refused.
    from keras_mnist_sum.evaluation.evaluate import predict_all_pairs
    from keras_mnist_sum.models.build import learned_tables

    mnist = cli.load_data(values, opened.config, test_only=True)
    warnings = [mnist.warning] if mnist.warning else []
    if doubt := cli.doubt_of_sample(mnist, [opened.config]):
        warnings.append(doubt)
        print(f"WARNING: {doubt}")
    predictions = predict_all_pairs(
        opened, mnist.test_images, mnist.test_labels
    )
    scores = predictions.scores
    print(f"model  {cli.quote(opened.path)}\ntest   {mnist.description}")
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
    if folder:
        model = opened.keras_model
        tables = {} if model is None else learned_tables(model)
        facts = {"model": _describe(opened), "data": mnist.description}
        report.save_report(folder, predictions, tables, facts, warnings)
        print(f"\nreport {cli.quote(folder / report.PAGE)}")


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
    return whole in inner.parents
