"""`train(config, run_dir)`: from a config to a trained and exported model."""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.sources import Mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.distribution.devices import find_devices
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.build import count_multiply_adds
from keras_mnist_sum.training.callbacks.progress import Console
from keras_mnist_sum.training.callbacks.tensorboard import check_installed
from keras_mnist_sum.training.finishing import finish
from keras_mnist_sum.training.fit import fit
from keras_mnist_sum.training.optimization import compile_model
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils import environment


def train(
    config: Config,
    run_dir: str | Path,
    checkpoint_every: int | None = None,
    strategy: str = "auto",
    verbose: int = 1,
    tensorboard: bool = False,
) -> dict:
    """Trains the model that `config` describes and writes a run directory.

    The directory receives `config.json`, `environment.json`, `history.csv`
    (a row an epoch), `model.keras`, `saved_model/1/`, `overview.png`,
    `curves.png` and `results.json`. The test set is scored once, after the
    last step.

    A run that was interrupted, in whatever way, goes on from its newest
    checkpoint when it is called again with the same arguments, to the same
    weights.

    Args:
        config: The run.
        run_dir: Where to write: a new or empty directory, or that of a run
            with an equal config. All workers must reach it.
        checkpoint_every: Steps between checkpoints. Default: as many as take
            about 30 seconds.
        strategy: The devices to train on, by the names that
            `distribution.find_devices` has.
        verbose: 0 prints warnings alone, on standard error; 1 says what
            happens, with a bar; 2 the same in one line an epoch, for logs.
        tensorboard: Whether to write `tensorboard/`, too: curves, pictures and
            the config. It changes nothing else.

    Returns:
        What `results.json` holds: the counts of `evaluation.Evaluation`, the
        right cells of each learned table, and the cost. Of several workers
        only the chief scores the model; the others wait, and return an empty
        dict.

    Raises:
        InputError: If the data, the directory or the devices cannot be used,
            the directory belongs to another run, or TensorBoard is asked for
            and not installed.
        DivergedError: If the loss or a weight is no longer finite.
        WorkerLostError: If another worker has ended.
        Stopped: On SIGINT or SIGTERM, after the running step.
    """
    run_dir = Path(run_dir)
    if checkpoint_every is not None and checkpoint_every < 1:
        raise InputError(
            "`checkpoint_every` must be a positive number of steps. "
            f"Received: checkpoint_every={checkpoint_every}"
        )
    console = Console(verbose)
    if tensorboard:
        check_installed()
    run_directory.check_usable(run_dir)
    results = run_dir / run_directory.RESULTS
    with StopRequests() as requests, contextlib.ExitStack() as stack:
        devices = (
            Distribution(tf.distribute.get_strategy())
            if results.is_file()  # Nobody else needs to come.
            else find_devices(strategy, console.say)
        )
        stack.enter_context(devices.errors())
        devices.check_batch_size(config.batch_size)
        if not devices.is_chief:
            console = Console(silent=True)
        if (run_dir / run_directory.CONFIG).is_file():
            config = config.as_begun(_begun(run_dir))
        mnist = load_mnist(config.data, config.data_dir, say=console.say)
        if mnist.warning:
            console.warn(mnist.warning)
        config = _settled(config, mnist, devices)
        examples = mnist.hold_out(config.validation_fraction)
        pipeline.check_batch_size(config.batch_size, len(examples[0]))
        keras.utils.set_random_seed(config.seed)
        if config.deterministic:  # From here on, in the whole process.
            tf.config.experimental.enable_op_determinism()
        with devices.strategy.scope():
            model = devices.adapt(build_model(config))
            compile_model(model, config)
        cost = {
            "parameters": model.count_params(),
            "multiply_adds": count_multiply_adds(model),
            "steps": config.steps,
            "epochs": config.steps * config.batch_size / len(examples[0]),
        }
        console.say(_introduction(mnist, examples, config, cost, devices))
        if devices.is_chief:
            if results.is_file():
                _check_config(run_dir, config)
            else:
                stack.enter_context(run_directory.locked(run_dir, console.warn))
                _claim(run_dir, config, devices, console.warn)
        if results.is_file():
            console.say(f"run    {run_dir} was finished before")
        else:
            cost["training_seconds"] = fit(
                *(model, examples, config, run_dir, devices, requests),
                *(console, checkpoint_every, tensorboard),
            )
            if devices.is_chief:
                finish(model, mnist, config, run_dir, cost, console.say)
        if devices.is_chief:
            shutil.rmtree(
                run_dir / run_directory.CHECKPOINTS, ignore_errors=True
            )
        _end_together(devices, results)
    return (
        json.loads(atomic_files.read_text(results)) if devices.is_chief else {}
    )


def _begun(run_dir: Path) -> Config:
    return Config.from_json(
        atomic_files.read_text(run_dir / run_directory.CONFIG)
    )


def _settled(config: Config, mnist: Mnist, devices: Distribution) -> Config:
    """`config` with what is only known now: where the data was found, and
    what the precision `"auto"` stands for."""
    return dataclasses.replace(
        config,
        data=mnist.source,
        data_dir=mnist.data_dir,
        precision=devices.precision(config.precision),
    )


def _introduction(
    mnist: Mnist,
    examples: tuple[np.ndarray, ...],
    config: Config,
    cost: dict,
    devices: Distribution,
) -> str:
    return (
        f"data   {mnist.description}: {len(examples[0]):,} images to train on, "
        f"{len(examples[2]):,} held out, {len(mnist.test_images):,} to test\n"
        f"model  {config.backbone}, {config.head} heads: "
        f"{cost['parameters']:,} parameters, "
        f"{cost['multiply_adds'] / 1e6:.1f} million multiply-adds per image\n"
        f"train  {config.steps:,} steps of {config.batch_size} "
        f"({cost['epochs']:.1f} epochs), {config.optimizer} in "
        f"{config.precision} on {devices}"
    )


def _claim(
    run_dir: Path, config: Config, devices: Distribution, warn: Callable
) -> None:
    """Makes `run_dir` this run's own, or checks that it is.

    `config.json` comes first: with it, a directory is a run.
    """
    if (run_dir / run_directory.CONFIG).is_file():
        _check_config(run_dir, config)
    else:
        atomic_files.write_text(
            run_dir / run_directory.CONFIG, config.to_json()
        )
    path = run_dir / run_directory.ENVIRONMENT
    if path.is_file():
        drift = environment.drift(
            atomic_files.read_text(path), devices.replicas
        )
        if drift:
            warn(f"results may differ in their last digits: {drift}")
    else:
        atomic_files.write_text(path, environment.to_json(devices.replicas))


def _end_together(devices: Distribution, results: Path) -> None:
    """Waits until the chief has finished the run: a worker that had ended
    before could not come again, should the chief be lost."""
    try:
        devices.any_worker([])
    except tf.errors.OpError:
        if not results.is_file():
            raise
        # The others have this behind them, and have ended already.


def _check_config(run_dir: Path, config: Config) -> None:
    """Refuses a run that began with another config. The folder of
    tensorflow-datasets may be another: checkpoints know what was in it."""
    before = _begun(run_dir)
    differences = [
        f"{name}={old!r}, not {getattr(config, name)!r}"
        for name, old in dataclasses.asdict(before).items()
        if old != getattr(config, name) and name != "data_dir"
    ]
    if differences:
        raise InputError(
            "`run_dir` belongs to a run with another config. "
            f"Received: {str(run_dir)!r} with {', '.join(differences)}"
        )
