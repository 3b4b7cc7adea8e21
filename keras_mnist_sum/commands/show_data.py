"""The command `show-data`: draws a batch as the model gets it in training."""

import argparse
from pathlib import Path

from keras_mnist_sum import presets
from keras_mnist_sum.commands import checks
from keras_mnist_sum.commands import cli
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.utils import atomic_files

HELP = "draw a training batch, as the model gets it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this command takes."""
    parser.description = (
        "Draws images of a training batch, warped as the model gets them, with "
        "their numbers and targets. A batch is a function of config, data and "
        "step: it is the one that such a run trains on."
    )
    parser.usage = "%(prog)s [RUN] [--step K] [--out FILE] [FLAG ...]"
    parser.add_argument(
        "target",
        nargs="?",
        type=cli.path,
        metavar="RUN",
        help="a run directory: its config and data (default: those of a "
        "preset)",
    )
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help=f"the config to start from (default: {presets.DEFAULT})",
    )
    parser.add_argument(
        "--step",
        type=int,
        default=0,
        metavar="K",
        help="which batch, from 0 (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=cli.path,
        metavar="FILE",
        help="the PNG file to write (default: batch-K.png)",
    )
    cli.add_config_arguments(
        parser.add_argument_group("config", "These change the config."),
        default="the run's or preset's",
    )


def run(values: argparse.Namespace) -> None:
    """Draws the batch, and says what was drawn.

    Raises:
        InputError: If a flag, the data or the run cannot be used.
    """
    if values.target and values.preset:
        raise InputError(
            "A run has a preset of its own. "
            f"Received: {str(values.target)!r} and --preset {values.preset}"
        )
    if values.target:
        base = Run(values.target).read_config()
    else:
        base = presets.get(values.preset or presets.DEFAULT).config
    config = cli.config_of(values, base)
    path = values.out or Path(f"batch-{values.step}.png")
    checks.check_output(path, [values.target, values.data or config.data])
    from keras_mnist_sum.utils.quiet import import_tensorflow

    import_tensorflow("`show-data`")
    import numpy as np

    from keras_mnist_sum.data import pipeline
    from keras_mnist_sum.reporting import default_style
    from keras_mnist_sum.reporting import image_grids

    if config.epochs is None:  # Data may take long to come.
        pipeline.check_step(config, values.step)
    mnist = cli.load_data(values, base)
    split = mnist.split(config.validation_fraction)
    config = config.with_steps(len(split.images))
    inputs, targets = pipeline.batch(mnist, config, values.step)
    count = min(image_grids.MOST, config.batch_size)
    title = (
        f"{count} of {config.batch_size} examples of batch {values.step:,} of "
        f"{config.steps:,}: preset {config.preset}, seed {config.seed}, "
        f"{mnist.description}"
    )
    drawn = {
        name: target[:, 0].astype("int64")  # A regression's values.
        if (target := targets[name]).ndim == 2
        else np.array(output.values)[target]
        for name, output in config.task.items()
    }
    with default_style():
        figure = image_grids.batch(
            inputs["image"], inputs["number"].argmax(axis=1), drawn, title
        )
        with atomic_files.atomic_write(path) as partial:
            figure.savefig(partial, format="png", dpi=150)
    print(f"written  {path}: {title}")
