"""tf.distribute: which devices train, and how they work together."""

import contextlib
import functools
import hashlib
import logging
import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from keras_mnist_sum.config import STRATEGIES
from keras_mnist_sum.distribution import multi_worker
from keras_mnist_sum.distribution import normalization
from keras_mnist_sum.distribution import unused_gpus
from keras_mnist_sum.distribution.cluster import find_cluster
from keras_mnist_sum.distribution.precision import FAST
from keras_mnist_sum.distribution.precision import choose_precision
from keras_mnist_sum.distribution.precision import find_fast
from keras_mnist_sum.distribution.replica_values import run_alike
from keras_mnist_sum.distribution.sums import sum_over_replicas
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import WorkerLostError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.utils import environment

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Distribution:
    """The devices that train together, and this process's part in them.

    Attributes:
        strategy: What TensorFlow knows them by.
        workers: Number of processes.
        worker: Which of them this is, from 0. The first one is the chief,
            which alone writes the run directory.
    """

    strategy: tf.distribute.Strategy
    workers: int = 1
    worker: int = 0

    @property
    def replicas(self) -> int:
        """Copies of the model, each on a device of its own."""
        return self.strategy.num_replicas_in_sync

    @property
    def is_chief(self) -> bool:
        return self.worker == 0

    def __str__(self) -> str:
        """The devices, for a person."""
        if self.replicas == 1:
            gpus = tf.config.get_visible_devices("GPU")
            return environment.name_devices(gpus[:1])
        devices = map(
            tf.DeviceSpec.from_string, self.strategy.extended.worker_devices
        )
        names = ", ".join(f"{x.device_type}:{x.device_index}" for x in devices)
        where = f"{self.workers} workers, {names} of each"
        return (
            f"{self.replicas} replicas ({where if self.workers > 1 else names})"
        )

    def precision(self, name: str) -> str:
        """What `"auto"` stands for on these devices; other names stay.

        The least able device of all workers decides. All must call this
        together, whatever the name: a worker whose config says another one
        must not leave the others waiting.

        Raises:
            InputError: If several replicas are to compute in float16.
        """
        here = find_fast(self.strategy)
        lacking = self.all_reduce_any([x not in here for x in FAST])
        everywhere = [FAST[i] for i, lacks in enumerate(lacking) if not lacks]
        return choose_precision(name, everywhere, self.replicas)

    def check_batch_size(self, batch_size: int) -> None:
        """Checks that a batch gives every replica the same share.

        Raises:
            InputError: If it does not.
        """
        if batch_size % self.replicas:
            raise InputError(
                "`batch_size` is that of all replicas together, and must be a "
                f"multiple of their number, {self.replicas}. "
                f"Received: batch_size={batch_size}"
            )

    def adapt(self, model: keras.Model) -> keras.Model:
        """Makes a functional model ready for `fit` on these devices.

        Normalization uses the statistics of the whole batch, not of each
        replica's share. Call it within `strategy.scope()`.
        """
        if self.replicas > 1:
            for layer in normalization.layers(model):
                normalization.synchronize(layer)
        if self.workers > 1:
            return multi_worker.MultiWorkerModel(
                model.input, model.output, name=model.name
            )
        return model

    def part(self, batch_size: int) -> slice:
        """The examples of each batch that this process works on."""
        here = batch_size // self.workers
        return slice(self.worker * here, (self.worker + 1) * here)

    def split(
        self, dataset: tf.data.Dataset, batch_size: int
    ) -> tf.data.Dataset:
        """Gives every replica its share of each batch.

        Replica r of R works on examples `r * batch_size / R` and those that
        follow. Nothing is sharded by files or by chance.

        Args:
            dataset: Yields this process's `part` of each batch.
            batch_size: Number of examples in a batch of all processes.
        """
        if self.replicas == 1:
            return dataset
        # All batches are whole: the workers need not ask each other for one.
        extended = self.strategy.extended
        extended.experimental_enable_get_next_as_optional = False
        return self.strategy.distribute_datasets_from_function(
            lambda context: dataset.rebatch(batch_size // self.replicas)
        )

    def all_reduce_any(self, flags: Sequence[bool]) -> list[bool]:
        """Which flags are set in some process. All must call this together."""
        if self.workers == 1:
            return list(flags)
        # One more, since there may be none: a way to wait for all.
        votes = self._sum(tf.constant([*flags, False], tf.float32))
        return [bool(vote) for vote in votes.numpy()[:-1] > 0]

    def check_agreement(self, text: str) -> None:
        """Checks that all workers pass the same. All must call this together.

        Raises:
            InputError: In all workers, if one passes something else.
        """
        if self.workers == 1:
            return
        digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), "u1")
        bits = np.unpackbits(digest).astype("float32")
        total = self._sum(tf.constant(bits)).numpy()
        if np.any(total != self.replicas * bits):
            raise InputError(
                "All workers must have the same config, data and checkpoints. "
                f"Received: something else in worker {self.worker} than in "
                "another"
            )

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Says in one line what TensorFlow says in many.

        Raises:
            WorkerLostError: If another worker has ended or hangs.
            InputError: If a device's memory is too small, or it can compute
                an operation in a way alone that gives other bits each time.
        """
        try:
            yield
        except tf.errors.ResourceExhaustedError as error:
            raise InputError(
                "The model and a batch do not fit into the device's memory: "
                "try a smaller batch size. "
                f"Received: {_line(error, 'OOM')}"
            ) from error
        except tf.errors.OpError as error:
            if "deterministic" in error.message.lower():
                line = _line(error, "(?i)deterministic")
                raise InputError(
                    "A GPU computes some operation of this model in other bits "
                    "each time: --no-deterministic, or deterministic=False, "
                    f"allows that. Received: {line}"
                ) from error
            lost = (
                tf.errors.UnavailableError,
                tf.errors.AbortedError,
                tf.errors.CancelledError,
                tf.errors.DeadlineExceededError,  # It lives, but hangs.
            )
            if self.workers == 1 or not isinstance(error, lost):
                raise
            raise WorkerLostError(
                "Another worker has ended or hangs, and none can go on alone: "
                "start all again, and they go on from the newest checkpoint. "
                f"Received: {type(error).__name__} in worker {self.worker}"
            ) from error

    @functools.cached_property
    def _sum(self) -> Callable[[tf.Tensor], tf.Tensor]:
        def everywhere(votes: tf.Tensor) -> tf.Tensor:
            # On the replica's own device.
            return sum_over_replicas(tf.identity(votes))

        @tf.function
        def total(votes: tf.Tensor) -> tf.Tensor:
            return run_alike(self.strategy, everywhere, votes)

        return total


def find_devices(name: str = "auto") -> Distribution:
    """Finds the devices to train on. Call it before TensorFlow computes.

    Of several workers, each waits here for the others. A line of warning says
    why a GPU that is there is not used.

    Args:
        name: `"single"` for one device; `"mirrored"` for all GPUs of this
            machine, or, without any, all logical CPUs; `"multi_worker"` for
            the processes that the environment's `TF_CONFIG` names, or else
            the tasks of a Slurm job step; `"tpu"`;
            `"auto"` for the third if `TF_CONFIG` names several workers, else
            the second if there are several GPUs, else the first.

    Raises:
        InputError: If there are no such devices, or `TF_CONFIG` does not
            describe a cluster.
        WorkerLostError: If the workers did not come together.
    """
    if not isinstance(name, str) or name not in STRATEGIES:
        raise InputError(
            f"`strategy` must be one of {', '.join(STRATEGIES)}. "
            f"Received: strategy={shown(name)}"
        )
    cluster = find_cluster(slurm=name == "multi_worker")
    workers = len(cluster.addresses) if cluster else 0
    gpus = tf.config.get_visible_devices("GPU")
    computes = keras.backend.backend() == "tensorflow" and name != "tpu"
    is_none_seen = computes and not tf.config.list_physical_devices("GPU")
    if is_none_seen and (why := unused_gpus.explain()):
        _logger.warning(why)
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "single"
        if workers > 1:
            name = "multi_worker"
    if workers > 1 and name != "multi_worker":
        raise InputError(
            f"TF_CONFIG names {workers} workers, which train by `strategy` "
            f"multi_worker. Received: strategy={name!r}"
        )
    if name == "multi_worker":
        if cluster is None:
            raise InputError(
                "`strategy` multi_worker needs TF_CONFIG, which names the "
                "workers, or a job step of Slurm. "
                "Received: neither in the environment"
            )
        strategy = multi_worker.connect(cluster)
        return Distribution(strategy, workers, cluster.worker)
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU" if gpus else "CPU")
        return Distribution(_mirrored(tuple(x.name for x in devices)))
    if name == "tpu":
        return Distribution(_tpu_strategy())
    return Distribution(tf.distribute.get_strategy())


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    """One for all runs of a process: each numbers its messages from the same
    number on, and TensorFlow takes a number for one shape alone."""
    return tf.distribute.MirroredStrategy(list(devices))


def _line(error: tf.errors.OpError, pattern: str) -> str:
    """The line of an error's message that says what it is. A failed step has
    others before it, about the graph."""
    lines = error.message.splitlines() or [""]
    found = (x for x in lines if re.search(pattern, x))
    return next(found, lines[0]).strip()[:200]


def _tpu_strategy() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except Exception as error:
        # Whatever the many layers below raise, there is none to train on.
        raise InputError(
            "`strategy` tpu needs a TPU. "
            f"Received: {type(error).__name__} when looking for one"
        ) from error
