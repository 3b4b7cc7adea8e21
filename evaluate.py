"""Scores a model on every test pair: `python evaluate.py --help`."""

import os
import sys
from pathlib import Path

from keras_mnist_sum.commands import cli


def main(arguments: list[str] | None = None) -> int:
    parser = cli.ArgumentParser(
        description="Scores a model on every test image with every number "
        "0-9: 100,000 pairs on the full test set, none dropped or sampled.",
    )
    add = parser.add_argument
    add(
        "target",
        nargs="?",
        type=Path,
        metavar="TARGET",
        help="a run directory, a .keras, .onnx or .tflite file or a SavedModel "
        "directory (default: the newest run in runs/; without one, the model "
        "that comes with the package)",
    )
    add(
        "--data",
        metavar="SOURCE",
        help="where MNIST comes from, as in train.py (default: what the run "
        "was trained on; auto for a model without a run)",
    )
    add(
        "--data-dir",
        metavar="DIR",
        help="tensorflow-datasets folder (default: the run's; else "
        "$TFDS_DATA_DIR, else ~/tensorflow_datasets)",
    )
    add(
        "--json",
        type=Path,
        metavar="FILE",
        help="also write counts and accuracies to FILE, as JSON",
    )
    add(
        "--report",
        nargs="?",
        const="",
        metavar="DIR",
        help="also write a page, DIR/index.html, with mistakes, confusion, "
        "tables and calibration, and its pictures as PNG files (default: the "
        "folder report in the run directory)",
    )
    values = vars(parser.parse_args(arguments))

    def command() -> None:
        from keras_mnist_sum.utils.quiet import import_tensorflow

        import_tensorflow()
        from keras_mnist_sum.errors import InputError
        from keras_mnist_sum.evaluation import evaluate
        from keras_mnist_sum.formats import open
        from keras_mnist_sum.utils import atomic_files

        if values["json"]:
            atomic_files.check_file(values["json"])
        folder = None
        if values["report"] is not None:
            # Imports matplotlib.
            from keras_mnist_sum.reporting import report

            folder = Path(
                values["report"] or report.folder_in(values["target"])
            )
            report.check_folder(folder)
            if values["json"] and _is_within(values["json"], folder):
                raise InputError(
                    "A report has its folder to itself. "
                    f"Received: --json {str(values['json'])!r} within --report "
                    f"{str(folder)!r}"
                )
        target = open.open_target(values["target"])
        mnist = open.load_data(
            target.config, values["data"], values["data_dir"], test_only=True
        )
        warnings = [mnist.warning] if mnist.warning else []
        own = target.config and target.config.data == "sample"
        if mnist.source == "sample" and not own:
            warnings.append(
                "the sample's test images are training images of MNIST, which "
                "this model may have been trained on"
            )
            print(f"WARNING: {warnings[-1]}")
        answers = evaluate.ask(
            target.answerer,
            mnist.test_images,
            mnist.test_labels,
            target.difference,
        )
        scored = answers.evaluation
        print(f"model  {target.path}\ntest   {mnist.description}")
        print(f"\n{scored.table()}")
        if values["json"]:
            results = {
                "target": str(target.path),
                "data": mnist.description,
                **scored.to_dict(),
            }
            atomic_files.write_text(values["json"], evaluate.to_json(results))
        if folder:
            facts = {"model": target.describe(), "data": mnist.description}
            report.save_report(folder, answers, target.tables, facts, warnings)
            print(f"\nreport {folder / report.PAGE}")

    return cli.run(command)


def _is_within(path: Path, folder: Path) -> bool:
    whole, inner = (Path(os.path.realpath(x)) for x in (folder, path))
    return whole in inner.parents


if __name__ == "__main__":
    sys.exit(main())
