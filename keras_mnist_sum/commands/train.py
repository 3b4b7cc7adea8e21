"""The command `train`: trains a model and writes a run directory."""

import argparse
import contextlib
import logging
import os
from pathlib import Path

from keras_mnist_sum import presets
from keras_mnist_sum.commands import checks
from keras_mnist_sum.commands import cli
from keras_mnist_sum.commands import run_names
from keras_mnist_sum.config import STRATEGIES
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import Stopped
from keras_mnist_sum.utils.arguments import as_integer

HELP = "train a model on MNIST digits and sampled numbers"

_logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this command takes."""
    parser.description = (
        "Trains a model on MNIST digits and sampled numbers, scores it once on "
        "every\ntest pair, and writes a run directory."
    )
    parser.usage = "%(prog)s [--preset NAME] [--run-dir DIR] [FLAG ...]"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "presets:\n" + "\n".join(
        f"  {name} ({preset.parameters:,} parameters)\n"
        f"      {preset.description}\n"
        f"      {preset.expected or 'not measured yet'}"
        for name, preset in presets.PRESETS.items()
    )
    parser.add_argument(
        "--preset",
        default=presets.DEFAULT,
        metavar="NAME",
        help="the config to start from (default: %(default)s)",
    )
    parser.add_argument(
        "--run-dir",
        type=cli.path,
        metavar="DIR",
        help="where to write: a new directory, or that of a run that was "
        "interrupted, to go on with it (default: a new one, "
        "runs/PRESET-CHANGES-DATE-TIME)",
    )
    parser.add_argument(
        "--teachers",
        type=cli.path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="runs or .keras files, whose mean answers the model learns from "
        "beside the labels (default: none)",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=int,
        metavar="N",
        help="steps between checkpoints (default: about 30 seconds)",
    )
    parser.add_argument(
        "--strategy",
        default="auto",
        choices=STRATEGIES,
        metavar="|".join(STRATEGIES),
        help="the devices to train on: one (single), all GPUs of this machine "
        "(mirrored), all workers that TF_CONFIG or Slurm names "
        "(multi_worker), or a TPU (tpu) (default: %(default)s: multi_worker "
        "if TF_CONFIG names several workers, else mirrored if there are "
        "several GPUs, else single)",
    )
    parser.add_argument(
        "--verbose",
        type=int,
        default=1,
        metavar="0|1|2",
        help="print only warnings, a bar and a table, or one line an epoch, "
        "for logs (default: %(default)s)",
    )
    parser.add_argument(
        "--tensorboard",
        action="store_true",
        help="also write curves, pictures and the config for TensorBoard: "
        "tensorboard --logdir runs",
    )
    cli.add_config_arguments(
        parser.add_argument_group("config", "These change the preset's config.")
    )


def run(values: argparse.Namespace) -> None:
    """Trains, in a new run directory unless `values.run_dir` names one.

    Raises:
        InputError: If a flag cannot be used.
        Stopped, DivergedError, WorkerLostError: As `training.train.train`.
    """
    from keras_mnist_sum.distribution.cluster import find_cluster
    from keras_mnist_sum.formats.run_directory import Run

    config = cli.config_of(values, presets.get(values.preset).config)
    has_workers = values.strategy == "multi_worker" or bool(
        os.environ.get("TF_CONFIG")
    )
    if values.run_dir is None and has_workers:
        raise InputError(
            "Workers share a run directory: name it by --run-dir. "
            "Received: TF_CONFIG or multi_worker, and no --run-dir"
        )
    # What can be refused at once is, before a line says what will be done.
    if values.checkpoint_every is not None:
        as_integer(values.checkpoint_every, "checkpoint_every", 1)
    cluster = find_cluster(values.strategy == "multi_worker")
    checks.check_data(config.data, config.data_dir)
    if values.teachers or values.distillation_weight is not None:
        # It imports NumPy, and without teachers there is nothing to refuse.
        from keras_mnist_sum.training.teachers import find_teachers
        from keras_mnist_sum.training.teachers import with_teachers

        config = with_teachers(config, find_teachers(values.teachers))
    if values.run_dir:
        Run.open(values.run_dir, config)
    before = Run.unfinished(config)
    run_dir = values.run_dir or Run.create(run_names.name(config)).path
    if not cluster or cluster.worker == 0:
        _logger.info(
            f"start  {run_names.describe(config)}, in {cli.quote(run_dir)}"
        )
    if before and before.path.absolute() != run_dir.absolute():
        _logger.info(
            f"note   {before.path} is the same run, not finished: to go on "
            f"with it, say --run-dir {cli.quote(before.path)}"
        )
    try:
        from keras_mnist_sum.data.sources import look_up_ahead

        look_up_ahead(config.data, config.data_dir)
        from keras_mnist_sum.utils.quiet import import_tensorflow

        import_tensorflow("`train`")  # This takes longer.
        from keras_mnist_sum.training.train import train

        results = train(
            config,
            run_dir,
            teachers=values.teachers,
            strategy=values.strategy,
            checkpoint_every=values.checkpoint_every,
            verbose=values.verbose,
            tensorboard=values.tensorboard,
        )
    except Stopped:
        if not has_workers:  # Whatever started them knows how to go on.
            _logger.info(f"\nto go on: {_resume_command(values, run_dir)}")
        raise
    finally:
        if values.run_dir is None:
            with contextlib.suppress(OSError):
                os.removedirs(run_dir)  # It is empty if nothing began.
    if results:  # Of several workers only the chief has some.
        before_name, _, after = values.prog.rpartition("train")
        _logger.info(
            f"next   {before_name}evaluate{after} {cli.quote(run_dir)}"
        )


def _resume_command(values: argparse.Namespace, run_dir: Path) -> str:
    new = [] if values.run_dir else ["--run-dir", str(run_dir)]
    return " ".join([values.prog, *map(cli.quote, [*values.argv, *new])])
