"""What a run trains on, and how its workers end."""

import keras
import tensorflow as tf

from keras_mnist_sum.config import Config
from keras_mnist_sum.distribution.cluster import find_cluster
from keras_mnist_sum.distribution.devices import Distribution
from keras_mnist_sum.distribution.devices import find_devices
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.training.optimization import check_replicas


def devices_for(strategy: str, run: Run, config: Config) -> Distribution:
    """The devices that `strategy` names, if there is anything left to train.

    Raises:
        InputError: If there are none, or they cannot train such a run.
    """
    devices = _devices_for(strategy, run)
    devices.check_batch_size(config.batch_size)
    check_replicas(config, devices.replicas)
    return devices


def _devices_for(strategy: str, run: Run) -> Distribution:
    backend = keras.backend.backend()
    if run.is_scored:  # This process, with nobody to wait for.
        cluster = find_cluster(slurm=strategy == "multi_worker")
        worker = cluster.worker if cluster else 0
        return Distribution(tf.distribute.get_strategy(), worker=worker)
    if backend == "tensorflow":
        return find_devices(strategy)
    if strategy not in ("auto", "single"):
        raise InputError(
            f"Keras's backend {backend} trains on one device alone here. "
            f"Received: strategy={strategy!r}"
        )
    return find_devices("single")


def end_together(devices: Distribution, run: Run) -> None:
    """Waits until the chief has finished the run: a worker that had ended
    before could not come again, should the chief be lost."""
    try:
        devices.all_reduce_any([])
    except tf.errors.OpError:
        if not run.is_finished:
            raise
        # The others have this behind them, and have ended already.
