"""The command `compare`: runs side by side."""

import argparse
import os

from keras_mnist_sum.commands import checks
from keras_mnist_sum.commands import cli
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils import console

HELP = "compare runs: what differs in them, and whether it matters"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this command takes."""
    parser.description = (
        "Scores runs or model files on the same test images. Runs that differ "
        "by their seed alone are one group, with mean and standard deviation. "
        "Each group is compared with the first, image by image."
    )
    parser.add_argument(
        "targets",
        nargs="+",
        type=cli.path,
        metavar="RUN",
        help="a run directory, or a .keras, .onnx or .tflite file",
    )
    parser.add_argument(
        "--csv",
        type=cli.path,
        metavar="FILE",
        help="a row for each group and output, to write",
    )
    parser.add_argument(
        "--plot", type=cli.path, metavar="FILE", help="the PNG file to write"
    )
    cli.add_difference_argument(parser)
    cli.add_config_arguments(
        parser, ("data", "data_dir"), default="what the first run has"
    )


def run(values: argparse.Namespace) -> None:
    """Scores and compares, and writes what was asked for.

    Raises:
        InputError: If a model, the data or a file cannot be used.
    """
    outputs = [path for path in (values.csv, values.plot) if path]
    for path in outputs:
        checks.check_output(path, [*values.targets, values.data])
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise InputError(
            "--csv and --plot must be two files. "
            f"Received: {str(values.csv)!r} and {str(values.plot)!r}"
        )
    from keras_mnist_sum.formats.open import format_of
    from keras_mnist_sum.formats.open import open_model

    for target in values.targets:
        format_of(target)  # It refuses what is no model.
    checks.check_data(values.data, values.data_dir)
    from keras_mnist_sum.utils.quiet import import_tensorflow

    import_tensorflow("`compare`")
    from keras_mnist_sum.evaluation import comparison
    from keras_mnist_sum.evaluation import comparison_table

    comparison.check_different(values.targets)
    models = [open_model(x, values.difference) for x in values.targets]
    configs = [model.config for model in models if model.config]
    data = {config.data for config in configs}
    if len(data) > 1 and not values.data:
        raise InputError(
            "These runs have different data: say by --data what to score them "
            f"on. Received: {', '.join(map(repr, sorted(data)))}"
        )
    mnist = cli.load_data(
        values, configs[0] if configs else None, test_only=True
    )
    if doubt := cli.doubt_of_sample(mnist, [x.config for x in models]):
        print(f"WARNING: {doubt}")
    images = f"{len(mnist.test_images):,} test images"
    print(f"{images}: {mnist.description}\n", flush=True)
    groups = comparison.compare(models, mnist.test_images, mnist.test_labels)
    print(comparison_table.table(groups, console.columns()))
    if values.csv:
        atomic_files.write_text(values.csv, comparison_table.to_csv(groups))
        print(f"written  {values.csv}")
    if values.plot:
        from keras_mnist_sum.reporting.comparison_plot import save_comparison

        save_comparison(values.plot, groups)
        print(f"written  {values.plot}")
