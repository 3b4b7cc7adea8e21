"""`train(config, run_dir)`: from a config to a trained and exported model."""

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data import plausibility
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.mnist import Split
from keras_mnist_sum.data.sources import as_mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.formats.any_model import AnyModel
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.keras_file import check_loadable
from keras_mnist_sum.formats.run_checks import check_writable
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.models.build import count_multiply_adds
from keras_mnist_sum.task import Task
from keras_mnist_sum.training import fine_tuning
from keras_mnist_sum.training import origin
from keras_mnist_sum.training.arguments import check_arguments
from keras_mnist_sum.training.arguments import check_callbacks
from keras_mnist_sum.training.arguments import combine
from keras_mnist_sum.training.devices import devices_for
from keras_mnist_sum.training.devices import end_together
from keras_mnist_sum.training.distillation import load_teacher
from keras_mnist_sum.training.distillation import teach
from keras_mnist_sum.training.finish import finish
from keras_mnist_sum.training.fit import fit
from keras_mnist_sum.training.introduction import introduction
from keras_mnist_sum.training.metrics import Metrics
from keras_mnist_sum.training.metrics import check_metrics
from keras_mnist_sum.training.metrics import columns
from keras_mnist_sum.training.optimization import compile_model
from keras_mnist_sum.training.own_teachers import train_own_teachers
from keras_mnist_sum.training.process import default_settings
from keras_mnist_sum.training.process import seeded
from keras_mnist_sum.training.results import Results
from keras_mnist_sum.training.teachers import Teacher
from keras_mnist_sum.training.teachers import find_teachers
from keras_mnist_sum.training.teachers import teachers_report
from keras_mnist_sum.training.teachers import with_teachers
from keras_mnist_sum.utils import console

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

_logger = logging.getLogger(__name__)


def train(
    config: Config | presets.Preset | str,
    run_dir: str | Path,
    *,
    data: Mnist | Arrays | None = None,
    task: Task | None = None,
    model: keras.Model | None = None,
    teachers: Sequence[AnyModel] = (),
    optimizer: keras.Optimizer | str | None = None,
    metrics: Metrics | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    strategy: str = "auto",
    checkpoint_every: int | None = None,
    verbose: int = 1,
    tensorboard: bool = False,
) -> Results:
    """Trains the model that `config` describes and writes a run directory.

    The directory receives what `formats.run_directory.Run` lists. The test set
    and the images held out for validation are scored once, after the last step.

    A run that was interrupted, in whatever way, goes on from its newest
    checkpoint when it is called again with the same arguments, to the same
    weights.

    While it runs, op determinism is on if the config says so, settings of
    Keras, TensorFlow and NumPy are their defaults, and random states, the
    package's logger and the handlers of SIGINT, SIGTERM and SIGHUP are its own.
    All are put back. TensorFlow's global seed stays `config.seed`, and devices
    stay initialized. So one run at a time trains in a process.

    Args:
        config: The run: a config, or a preset or its name.
        run_dir: Where to write: a new or empty directory, or that of a run
            with an equal config. All workers must reach it.
        data: What to train and test on, in place of `config.data`: an `Mnist`,
            or `(train_images, train_labels, test_images, test_labels)`, images
            uint8 `(examples, 28, 28)` and labels integers `(examples,)`.
        task: What to learn, in place of the config's outputs.
        model: A model to go on from, with the outputs of the task and, unless
            the config says `"auto"`, in its precision. A copy is trained; the
            config's backbone, head and width are then those of another model.
        teachers: Run directories, `.keras` files or Keras models, whose answers
            the model learns from beside the labels, as `distillation.teach`
            has it; they stay as they are.
        optimizer: A Keras optimizer, or Keras's name of one, in place of what
            the config says of optimizer, learning rate and weight decay; the
            package's own are `Config(optimizer=...)`. A new one like it is
            made; Keras's schedules may be in it.
        metrics: By output, Keras metrics to log beside the accuracy, such as
            `{"sum": keras.metrics.SparseTopKCategoricalAccuracy(3)}`.
        callbacks: Keras callbacks of your own. They see one `fit`, with epochs
            and batches numbered on if the run was interrupted, and come before
            what is written: what they add to the epoch's logs gets into the
            history. `model.stop_training = True` ends the run, which is then
            finished with the steps that it took. A run that goes on starts
            them anew, but for what Keras's `EarlyStopping`, `ModelCheckpoint`
            and `ReduceLROnPlateau` remember of the best epoch. Of several
            workers each calls them, and one that sets `stop_training` stops
            all; whatever else they do together, all must do.
        strategy: The devices to train on, by the names that
            `distribution.find_devices` has.
        checkpoint_every: Steps between checkpoints. Default: as many as take
            about 30 seconds.
        verbose: 0 prints warnings alone, on standard error; 1 says what
            happens, with a bar; 2 the same in one line an epoch, for logs.
        tensorboard: Whether to write `tensorboard/`, too: curves, pictures and
            the config. It changes nothing else.

    Returns:
        What `results.json` holds: a dict, see `Results`. It is empty in workers
        that are not the chief.

    Raises:
        InputError: If an argument, the data, the directory or the devices
            cannot be used, the directory belongs to a run with another config,
            data, `model` or `teachers`, the model could not be loaded
            afterwards, TensorBoard is asked for and not installed, or another
            run trains in the process.
        DivergedError: If the loss or a weight is no longer finite.
        WorkerLostError: If another worker has ended.
        Stopped: On SIGINT, SIGTERM or SIGHUP, after the running step.
    """
    config = presets.as_config(config)
    check_arguments(run_dir, task, checkpoint_every, tensorboard)
    data = None if data is None else as_mnist(data)
    if model is not None and not isinstance(model, keras.Model):
        model = load_model(model)
    config = combine(config, data, task, model, optimizer)
    committee = find_teachers(teachers)
    config = with_teachers(config, committee)
    check_callbacks(callbacks, config, Run(run_dir))
    check_metrics(metrics, config.task)
    with (
        default_settings(),
        console.setup_logging(verbose),
        StopRequests() as requests,
        contextlib.ExitStack() as stack,
    ):
        run = Run.open(run_dir, config)
        if run.has_begun:
            config = config.as_begun(run.read_config())
        if run.is_scored:
            origin.check_results(run, config, data)
        devices = devices_for(strategy, run, config)
        if run.is_finished:
            _logger.info(f"run    {run.path} was finished before")
            return _results(run) if devices.is_chief else Results()
        stack.enter_context(devices.errors())
        if devices.is_chief:
            check_writable(run)
        else:
            console.LOGGER.setLevel(logging.CRITICAL)
        if not run.is_scored:
            committee = [load_teacher(x, config) for x in committee]
        mnist = data or load_mnist(config.data, config.data_dir)
        if devices.is_chief:
            for warning in plausibility.warnings(mnist, pretrained.read_digits):
                _logger.warning(warning)
        split = mnist.split(config.validation_fraction)
        pipeline.check_batch_size(config.batch_size, len(split.images))
        config = _settled(config, mnist, devices).with_steps(len(split.images))
        train_one = functools.partial(
            _train_one,
            mnist=mnist,
            split=split,
            devices=devices,
            model=model,
            requests=requests,
            checkpoint_every=checkpoint_every,
            verbose=verbose,
        )
        if config.train_teachers and not run.is_scored:
            committee += train_own_teachers(
                run, config, mnist, devices, train_one
            )
        train_one(
            run,
            config,
            teachers=committee,
            metrics=metrics,
            callbacks=callbacks,
            tensorboard=tensorboard,
        )
        return _results(run) if devices.is_chief else Results()


def _train_one(
    run: Run,
    config: Config,
    *,
    mnist: Mnist,
    split: Split,
    devices: Distribution,
    model: keras.Model | None,
    teachers: Sequence[Teacher] = (),
    metrics: Metrics | None = None,
    tensorboard: bool = False,
    **named: Any,
) -> None:
    """Trains, scores and exports one run, of which all is known.

    Args:
        run: Its directory.
        config: The run, settled.
        mnist: The data, and `split` of it.
        devices: What trains.
        model: As for `train`, as are `metrics` and `tensorboard`.
        teachers: What it learns from beside the labels.
        named: What else `fit` takes.
    """
    is_trained = run.is_scored
    with contextlib.ExitStack() as stack:
        stack.enter_context(seeded(config.seed, config.deterministic))
        if is_trained:
            built = load_model(run.model)
        else:
            built = _build(config, devices, model, metrics, teachers)
            _logger.info(introduction(mnist, split, config, built, devices))
        if devices.is_chief:
            stack.enter_context(run.lock())
            run.begin(config, devices.replicas)

        cost: dict = {}
        if not is_trained:
            state = fit(
                built,
                run,
                config,
                split,
                devices=devices,
                metrics=columns(check_metrics(metrics, config.task)),
                tensorboard=tensorboard,
                **named,
            )
            cost = {
                "parameters": built.count_params(),
                "multiply_adds": count_multiply_adds(built),
                "steps": state.step,
                "epochs": state.step * config.batch_size / len(split.images),
                "training_seconds": round(state.seconds, 2),
                **teachers_report(teachers, config, state.seconds),
            }
        if devices.is_chief:
            finish(built, run, config, mnist, cost, tensorboard)
        end_together(devices, run)


def _settled(config: Config, mnist: Mnist, devices: Distribution) -> Config:
    """`config` with what is only known now: where the data was found, and
    what the precision `"auto"` stands for."""
    return dataclasses.replace(
        config,
        data=mnist.source,
        data_dir=mnist.data_dir,
        precision=devices.precision(config.precision),
    )


def _build(
    config: Config,
    devices: Distribution,
    model: keras.Model | None,
    metrics: Metrics | None,
    teachers: Sequence[Teacher],
) -> keras.Model:
    with devices.strategy.scope():
        if model:
            check_loadable(model)
            built = fine_tuning.with_metadata(copy_model(model), config)
        else:
            built = build_model(config)
            check_loadable(built)
        built = compile_model(devices.adapt(built), config, metrics=metrics)
        teach(built, [teacher.model for teacher in teachers], config)
    return built


def _results(run: Run) -> Results:
    run.remove_checkpoints()
    return Results(run.read_results())
