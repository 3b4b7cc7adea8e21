"""Connecting the workers, and Keras 3's `fit` across machines."""

import logging
import signal
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

# No public name tells whether TensorFlow has computed anything, or limits how
# long it waits for the workers.
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.eager import context

from keras_mnist_sum.distribution.cluster import Cluster
from keras_mnist_sum.distribution.replica_values import run_alike
from keras_mnist_sum.distribution.signals import handle_signals
from keras_mnist_sum.distribution.sums import sum_over_replicas
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import WorkerLostError

_logger = logging.getLogger(__name__)


def connect(cluster: Cluster, timeout: float = 120.0) -> tf.distribute.Strategy:
    """Connects the workers. All must call this together.

    Each waits for the others in Python first, then in TensorFlow, which usually
    takes a second or two. It waits in native code and in the main thread, where
    Python handles no signal and runs no other thread: SIGINT ends the process,
    and SIGTERM is dropped.

    Args:
        cluster: The workers. `TF_CONFIG` is not read.
        timeout: Seconds that TensorFlow waits for workers that were there.

    Raises:
        InputError: If TensorFlow has computed something before.
        WorkerLostError: If the workers did not come together.
    """
    if context.context()._context_handle:
        raise InputError(
            "Workers must connect before TensorFlow computes anything, as it "
            "does to make a model, an optimizer or a metric: name an optimizer "
            "by the config. Received: a process that has computed"
        )
    cluster.wait_for_all()
    address = cluster.addresses[cluster.worker]
    _logger.info(
        f"join   {len(cluster.addresses)} workers, as number {cluster.worker}, "
        f"{address}"
    )
    _limit_waiting(len(cluster.addresses), timeout)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.worker,
        num_accelerators={"GPU": len(tf.config.get_visible_devices("GPU"))},
    )
    handlers: dict[signal.Signals, Any] = {
        signal.SIGINT: signal.SIG_DFL,
        # TensorFlow takes it for itself: it is put back.
        signal.SIGTERM: signal.getsignal(signal.SIGTERM),
    }
    try:
        with handle_signals(handlers):
            return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except tf.errors.OpError as error:
        # A port that is taken, a worker that did not come: worth another try.
        raise WorkerLostError(
            "The workers did not come together. "
            f"Received: {' '.join(error.message.split())[:200]}"
        ) from error


def _limit_waiting(workers: int, timeout: float) -> None:
    job = coordination_config_pb2.CoordinatedJob(
        name="worker", num_tasks=workers
    )
    context.context().configure_coordination_service(
        "standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=round(1000 * timeout),
        coordinated_jobs=[job],
    )
    # The chief waits an hour otherwise.
    config = context.context().coordination_service
    config.cluster_register_with_barrier = True


class MultiWorkerModel(keras.Model):
    """A functional model that `fit` can train on several machines.

    Keras 3's own fails there, for two reasons, both fixed here by overriding
    methods that are private, so Keras stays pinned:

    - Before the first step it averages a batch over all replicas, to learn
      its shape, and cannot average a nested one
      (https://github.com/keras-team/keras/issues/20585).
    - It averages the logs of a step over their first axis, and they have none
      (https://github.com/keras-team/keras/issues/20329).
    """

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        strategy = self.distribute_strategy
        for _, _, batches in iterator:
            data_batch = tf.nest.map_structure(
                lambda x: strategy.experimental_local_results(x)[0],
                next(batches),
            )
            break
        with strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    def _make_function(self, step_function: Callable[..., Any]) -> Any:
        names: list[str] = []
        strategy = self.distribute_strategy

        def step(data: Any) -> tf.Tensor:
            logs = step_function(data)
            names[:] = logs
            dtype = keras.config.floatx()
            # Averaged in one message, not in two for each.
            values = tf.stack([tf.cast(x, dtype) for x in logs.values()])
            return sum_over_replicas(values) / strategy.num_replicas_in_sync

        @tf.function
        def function(batches: Any) -> tf.Tensor:
            return run_alike(strategy, step, next(batches))

        return lambda batches: dict(
            zip(names, tf.unstack(function(batches)), strict=True)
        )
