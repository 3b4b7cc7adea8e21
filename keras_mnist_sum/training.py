"""`train(config, run_dir)`: from a config to a trained and exported model."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mnist_sum import checkpoints
from keras_mnist_sum import environment
from keras_mnist_sum import pipeline
from keras_mnist_sum import runs
from keras_mnist_sum import summaries
from keras_mnist_sum import task
from keras_mnist_sum.compiling import compile_model
from keras_mnist_sum.config import Config
from keras_mnist_sum.distribution import Distribution
from keras_mnist_sum.distribution import find_devices
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.finishing import finish
from keras_mnist_sum.models import build_model
from keras_mnist_sum.models import count_multiply_adds
from keras_mnist_sum.progress import EpochLines
from keras_mnist_sum.progress import Progress
from keras_mnist_sum.recording import Recorder
from keras_mnist_sum.sources import load_mnist
from keras_mnist_sum.stopping import StopRequests


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
        strategy: The devices to train on; `distribution.find_devices` has the
            names.
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
    if verbose not in (0, 1, 2):
        raise InputError(
            f"`verbose` must be 0, 1 or 2. Received: verbose={verbose!r}"
        )
    if tensorboard:
        summaries.check_installed()
    runs.check_usable(run_dir)
    results = run_dir / runs.RESULTS
    path = run_dir / runs.CONFIG
    begun = Config.from_json(runs.read_text(path)) if path.is_file() else None
    say, warn = (print, _warn) if verbose else (_say_nothing, _warn_aside)
    with StopRequests() as requests, contextlib.ExitStack() as stack:
        devices = (
            Distribution(tf.distribute.get_strategy())
            if results.is_file()  # Nobody else needs to come.
            else find_devices(strategy, say)
        )
        stack.enter_context(devices.errors())
        devices.check_batch_size(config.batch_size)
        if not devices.is_chief:
            verbose, say, warn = 0, _say_nothing, _say_nothing
        mnist = load_mnist(config.data, config.data_dir, say=say)
        if mnist.warning:
            warn(mnist.warning)
        config = dataclasses.replace(
            config,
            data=mnist.source,
            data_dir=mnist.data_dir,
            precision=devices.precision(config.precision)
            if begun is None or config.precision != "auto"
            else begun.precision,
        )
        examples = mnist.hold_out(config.validation_fraction)
        count = len(examples[0])
        pipeline.check_batch_size(config.batch_size, count)
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
            "epochs": config.steps * config.batch_size / count,
        }
        say(
            f"data   {mnist.description}: {count:,} images to train on, "
            f"{len(examples[2]):,} held out, {len(mnist.test_images):,} to "
            "test\n"
            f"model  {config.backbone}, {config.head} heads: "
            f"{cost['parameters']:,} parameters, "
            f"{cost['multiply_adds'] / 1e6:.1f} million multiply-adds per "
            "image\n"
            f"train  {config.steps:,} steps of {config.batch_size} "
            f"({cost['epochs']:.1f} epochs), {config.optimizer} in "
            f"{config.precision} on {devices}"
        )
        fit = functools.partial(
            _fit,
            *(model, examples, config, run_dir, devices),
            *(requests, checkpoint_every, verbose, warn, tensorboard),
        )
        if not devices.is_chief:
            fit()
            _end_together(devices, results)
            return {}
        if results.is_file():
            _check_config(run_dir, config)
            say(f"run    {run_dir} was finished before")
        else:
            with runs.locked(run_dir):
                _claim(run_dir, config, devices, warn)
                if not results.is_file():
                    cost["training_seconds"] = fit()
                    finish(model, mnist, config, run_dir, cost, say)
                shutil.rmtree(run_dir / runs.CHECKPOINTS)
            _end_together(devices, results)
    return json.loads(runs.read_text(results))


def _claim(
    run_dir: Path, config: Config, devices: Distribution, warn: Callable
) -> None:
    """Makes `run_dir` this run's own, or checks that it is.

    `config.json` comes first: with it, a directory is a run.
    """
    if (run_dir / runs.CONFIG).is_file():
        _check_config(run_dir, config)
    else:
        runs.write_text(run_dir / runs.CONFIG, config.to_json())
    path = run_dir / runs.ENVIRONMENT
    if path.is_file():
        drift = environment.drift(runs.read_text(path), devices.replicas)
        if drift:
            warn(f"results may differ in their last digits: {drift}")
    else:
        runs.write_text(path, environment.to_json(devices.replicas))


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
    """Refuses a run that began with another config."""
    before = Config.from_json(runs.read_text(run_dir / runs.CONFIG))
    differences = [
        f"{name}={old!r}, not {getattr(config, name)!r}"
        for name, old in dataclasses.asdict(before).items()
        if old != getattr(config, name)
    ]
    if differences:
        raise InputError(
            "`run_dir` belongs to a run with another config. "
            f"Received: {str(run_dir)!r} with {', '.join(differences)}"
        )


def _fit(
    model: keras.Model,
    examples: tuple[np.ndarray, ...],
    config: Config,
    run_dir: Path,
    devices: Distribution,
    requests: StopRequests,
    checkpoint_every: int | None,
    verbose: int,
    warn: Callable,
    tensorboard: bool,
) -> float:
    """Trains `model` from the newest checkpoint, if there is one, to the end.

    Returns:
        The seconds that all steps took, in this process and earlier ones.
    """
    say = print if verbose else _say_nothing
    images, labels, held_out_images, held_out_labels = examples
    sha256 = hashlib.sha256()
    for array in examples:
        sha256.update(array.data)
    digest = sha256.hexdigest()
    checkpoint = checkpoints.load_newest(run_dir / runs.CHECKPOINTS, warn)
    if checkpoint:
        if checkpoint.notes.get("data") != digest:
            raise InputError(
                "The training images or labels are not those that this run "
                f"began with. Received: {str(run_dir)!r}"
            )
        checkpoint.restore(model, "weights", "optimizer")
    devices.check_agreement(
        dataclasses.replace(config, data="", data_dir=None).to_json()
        + f"{digest} {checkpoint.step if checkpoint else 0}"
    )
    begun = f", going on after step {checkpoint.step:,}" if checkpoint else ""
    say(f"run    {run_dir}{begun}\n")

    # The fewest whole batches that pass over all images; the last epoch of a
    # run may be shorter.
    steps_per_epoch = -(-len(images) // config.batch_size)
    board = None
    if tensorboard and devices.is_chief:
        before = checkpoint.notes if checkpoint else {}
        samples = examples[2:] if len(held_out_images) else examples[:2]
        board = summaries.Summaries(
            run_dir / runs.TENSORBOARD,
            config,
            samples[0],
            samples[1],
            before.get("history", []),
            before.get("points", []),
        )
    recorder = Recorder(
        run_dir,
        config.steps,
        steps_per_epoch,
        requests,
        devices,
        checkpoint_every,
        {"data": digest},
        checkpoint,
        board,
    )
    callbacks = [recorder]
    if verbose:
        names = task.outputs(config.difference)
        shown = Progress if verbose == 1 else EpochLines
        callbacks.append(shown(names, config.steps, steps_per_epoch))
    validation: dict = {}
    if len(held_out_images):
        held_out = pipeline.validation_dataset(
            held_out_images, held_out_labels, config
        )
        validation = dict(
            validation_data=devices.repeat(held_out),
            validation_steps=len(held_out),
        )
    with requests.deferred():
        for step, count, epoch, end in _segments(
            recorder.step, config.steps, steps_per_epoch
        ):
            batches = pipeline.training_dataset(
                images, labels, config, step, devices.part(config.batch_size)
            )
            model.fit(
                devices.split(batches, config.batch_size),
                initial_epoch=epoch,
                epochs=end,
                steps_per_epoch=count,
                **validation,
                shuffle=False,
                callbacks=callbacks,
                verbose=0,
            )
    return round(recorder.seconds, 2)


def _segments(
    step: int, steps: int, steps_per_epoch: int
) -> Iterator[tuple[int, int, int, int]]:
    """Cuts the steps from `step` to `steps` into calls of `fit`, each of them
    of epochs of one length: the rest of the running epoch, whole epochs, and
    a shorter last one.

    Yields:
        `(first step, steps per epoch, first epoch, epoch after the last)`.
    """
    while step < steps:
        epoch, done = divmod(step, steps_per_epoch)
        whole = 0 if done else (steps - step) // steps_per_epoch
        count = min(steps_per_epoch - done, steps - step)
        yield step, count, epoch, epoch + max(whole, 1)
        step += count * max(whole, 1)


def _warn(text: str) -> None:
    print(f"WARNING: {text}")


def _warn_aside(text: str) -> None:
    print(f"WARNING: {text}", file=sys.stderr)


def _say_nothing(text: str) -> None:
    pass
