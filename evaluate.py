"""Scores a model on every test pair: `python evaluate.py --help`."""

import sys
from pathlib import Path

from keras_mnist_sum import cli


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
    values = vars(parser.parse_args(arguments))

    def command() -> None:
        from keras_mnist_sum.quiet import import_tensorflow

        import_tensorflow()
        from keras_mnist_sum import runs
        from keras_mnist_sum.evaluation import evaluate
        from keras_mnist_sum.evaluation import to_json
        from keras_mnist_sum.targets import load_data
        from keras_mnist_sum.targets import open_target

        if values["json"]:
            runs.check_file(values["json"])
        target = open_target(values["target"])
        mnist = load_data(
            target.config, values["data"], values["data_dir"], test_only=True
        )
        own = target.config and target.config.data == "sample"
        if mnist.source == "sample" and not own:
            print(
                "WARNING: the sample's test images are training images of "
                "MNIST, which this model may have been trained on"
            )
        scored = evaluate(
            target.answerer,
            mnist.test_images,
            mnist.test_labels,
            target.difference,
        )
        print(f"model  {target.path}\ntest   {mnist.description}")
        print(f"\n{scored.table()}")
        if values["json"]:
            report = {
                "target": str(target.path),
                "data": mnist.description,
                **scored.to_dict(),
            }
            runs.write_text(values["json"], to_json(report))

    return cli.run(command)


if __name__ == "__main__":
    sys.exit(main())
