"""The steps of a run: from its newest checkpoint to the last one."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.mnist import Split
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.distribution.shared_validation import SharedValidation
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.training import checkpoints
from keras_mnist_sum.training.callbacks.checkpoint import SaveCheckpoints
from keras_mnist_sum.training.callbacks.heartbeat import Heartbeat
from keras_mnist_sum.training.callbacks.history import WriteHistory
from keras_mnist_sum.training.callbacks.logs import CheckLogs
from keras_mnist_sum.training.callbacks.memory import Memory
from keras_mnist_sum.training.callbacks.non_finite import StopOnNonFinite
from keras_mnist_sum.training.callbacks.progress import displays
from keras_mnist_sum.training.callbacks.stop_signals import StopOnSignal
from keras_mnist_sum.training.origin import check_checkpoint
from keras_mnist_sum.training.state import RunState

_logger = logging.getLogger(__name__)


def fit(
    model: keras.Model,
    run: Run,
    config: Config,
    split: Split,
    *,
    devices: Distribution,
    requests: StopRequests,
    metrics: Mapping[str, bool],
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint_every: int | None = None,
    verbose: int = 0,
    tensorboard: bool = False,
) -> RunState:
    """Trains `model` from the newest checkpoint, if there is one, to the end.

    Args:
        model: Compiled, with its initial weights.
        run: The run directory; it receives the history and checkpoints.
        config: The run.
        split: The data.
        devices: What trains; all workers must call this together.
        requests: Looked at after each step.
        metrics: What the logs call the user's own, and whether each is a mean.
        callbacks: The user's own.
        checkpoint_every: Steps between checkpoints. Default: about 30 seconds.
        verbose: As `displays` has it.
        tensorboard: Whether to write summaries, too.

    Returns:
        Where the run is: at its end.

    Raises:
        InputError: If the newest checkpoint is of other data, of another model
            or of other metrics; or if the workers differ in config, data or
            checkpoints.
        DivergedError: If the loss or a weight is no longer finite.
        Stopped: If that was requested, after a checkpoint.
    """
    # The fewest whole batches that pass over all images.
    steps_per_epoch = -(-len(split.images) // config.batch_size)
    state = RunState(config.steps, steps_per_epoch)
    notes = {"data": split.digest(), "metrics": list(metrics)}
    checkpoint = checkpoints.load_newest(run.checkpoints)
    if checkpoint:
        check_checkpoint(checkpoint, notes, run)
        checkpoint.restore(model, "weights", "optimizer")
        state.restore(checkpoint)
    # Where the data lies may differ; what it is may not.
    comparable = dataclasses.replace(config, data="", data_dir=None).to_json()
    devices.check_agreement(f"{comparable}{notes}{state.step}")
    begun = f", going on after step {state.step:,}" if checkpoint else ""
    _logger.info(f"run    {run.path}{begun}\n")
    if state.has_ended:
        return state

    # The order is the contract. Callbacks of the user come first: what they
    # add to the logs is in the history, and when they stop the training, the
    # checkpoint says so. Then come the history's row, the summaries, and the
    # checkpoint that counts both: whatever a kill leaves after the newest
    # checkpoint is written again. A signal is obeyed once that is saved.
    chief, memory = devices.is_chief, Memory(callbacks, checkpoint)
    listed: list[keras.callbacks.Callback] = [
        Heartbeat(),
        StopOnNonFinite(state=state),
        *callbacks,
        memory,
        CheckLogs(),
        *displays(config, state, verbose if chief else 0),
        WriteHistory(
            run=run if chief else None,
            state=state,
            outputs=config.task,
            metrics=metrics,
        ),
        *_summaries(run, config, split, state, tensorboard and chief),
        SaveCheckpoints(
            folder=run.checkpoints,
            state=state,
            devices=devices,
            requests=requests,
            every=checkpoint_every,
            notes=notes,
            memory=memory,
            restored=checkpoint,
        ),
        StopOnSignal(state=state),
    ]
    with requests.deferred():
        _run_segments(model, config, split, devices, state, listed)
    return state


def _summaries(
    run: Run, config: Config, split: Split, state: RunState, wanted: bool
) -> list[keras.callbacks.Callback]:
    if not wanted:
        return []
    from keras_mnist_sum.training.callbacks.tensorboard import WriteSummaries

    images, labels = split.images, split.labels
    if len(split.validation_images):
        images, labels = split.validation_images, split.validation_labels
    return [
        WriteSummaries(
            folder=run.tensorboard,
            config=config,
            images=images,
            labels=labels,
            state=state,
        )
    ]


def _run_segments(
    model: keras.Model,
    config: Config,
    split: Split,
    devices: Distribution,
    state: RunState,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    validation: dict[str, Any] = {}
    shared = None
    if len(split.validation_images):
        dataset = pipeline.validation_dataset(
            split.validation_images, split.validation_labels, config
        )
        if devices.replicas > 1:
            shared = SharedValidation(model, dataset)
        else:
            validation = {
                "validation_data": dataset.repeat(),
                "validation_steps": len(dataset),
            }
    one_fit = _OneFit(callbacks, model, state, shared)
    one_fit.begin()
    with _finalized_once(model):
        for step, count, epoch, end in _segments(
            state.step, config.steps, state.steps_per_epoch
        ):
            batches = pipeline.training_dataset(
                split.images,
                split.labels,
                config,
                step,
                devices.part(config.batch_size),
            )
            model.fit(
                devices.split(batches, config.batch_size),
                initial_epoch=epoch,
                epochs=end,
                steps_per_epoch=count,
                **validation,
                shuffle=False,
                callbacks=one_fit,
                verbose=0,
            )
            if state.stopped_early:
                break
    one_fit.end()


@contextlib.contextmanager
def _finalized_once(model: keras.Model) -> Iterator[None]:
    """Has an optimizer that averages weights put the averages in their place
    when the block has ended, not when each `fit` in it has."""
    optimizer = model.optimizer
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values
    optimizer.finalize_variable_values(model.trainable_weights)


class _OneFit(keras.callbacks.CallbackList):
    """Has callbacks see one `fit`, though it is called for each segment.

    Args:
        callbacks: The callbacks.
        model: What is trained.
        state: Where the run is; its steps are counted here.
        validation: What `fit` cannot do by itself, after each epoch.
    """

    def __init__(
        self,
        callbacks: list[keras.callbacks.Callback],
        model: keras.Model,
        state: RunState,
        validation: SharedValidation | None = None,
    ) -> None:
        super().__init__(
            callbacks,
            add_history=True,  # `fit` returns it.
            model=model,
            verbose=0,
            epochs=state.epochs,
            steps=state.steps_per_epoch,
        )
        self.state = state
        self.validation = validation
        self.last_logs: dict | None = None
        outputs = list(model.output)
        self.only = outputs[0] if len(outputs) == 1 else None

    def begin(self) -> None:
        self.state.start_clock()
        super().on_train_begin()

    def end(self) -> None:
        super().on_train_end(self.last_logs)

    def on_train_begin(self, logs: Any = None) -> None:
        """A segment begins."""

    def on_train_end(self, logs: Any = None) -> None:
        """A segment ends."""
        self.last_logs = logs

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.validation:
            logs.update(self.validation(self))  # `on_train_end` gets it, too.
        named = dict(self._named(logs))
        logs.clear()
        logs.update(named)  # `on_train_end` gets it, too.
        super().on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        in_epoch = self.state.step % self.state.steps_per_epoch
        super().on_train_batch_begin(in_epoch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.state.step += 1
        step = self.state.steps_in_epoch - 1
        super().on_train_batch_end(step, self._named(logs))

    def _named(self, logs: dict[str, Any]) -> dict[str, Any]:
        """The logs as of several outputs: of a single one, Keras leaves its
        name out."""
        if not self.only:
            return logs
        known, found = ("loss", f"{self.only}_loss"), {}
        for name, value in logs.items():
            bare = name.removeprefix("val_")
            own = "" if bare in known else f"{self.only}_"
            found[f"{name.removesuffix(bare)}{own}{bare}"] = value
        return found


def _segments(
    step: int, steps: int, steps_per_epoch: int
) -> Iterator[tuple[int, int, int, int]]:
    """Cuts the steps from `step` to `steps` into calls of `fit`, each of them
    of epochs of one length: the rest of an interrupted epoch, whole epochs, and
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
