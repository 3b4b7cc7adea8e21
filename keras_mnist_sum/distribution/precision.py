"""The precisions that devices are fast in, and what `"auto"` stands for."""

from collections.abc import Collection

import tensorflow as tf

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import environment

FAST = ("bfloat16", "float16")  # The better one first.


def find_fast(strategy: tf.distribute.Strategy) -> tuple[str, ...]:
    """Those of `FAST` that all devices of this process have units for.

    bfloat16 on TPUs, on GPUs of compute capability 8.0 (Ampere) or more and on
    CPUs that multiply it in hardware; float16 on GPUs of 7.0 or more
    (https://docs.nvidia.com/deeplearning/performance/mixed-precision-training/).
    """
    versions = [
        tf.config.experimental.get_device_details(gpu).get(
            "compute_capability", (0, 0)
        )
        for gpu in tf.config.get_visible_devices("GPU")
    ]
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return ("bfloat16",)
    if not versions:
        return ("bfloat16",) if environment.multiplies_bfloat16() else ()
    needed = {"bfloat16": (8, 0), "float16": (7, 0)}
    return tuple(name for name in FAST if min(versions) >= needed[name])


def choose_precision(name: str, fast: Collection[str], replicas: int) -> str:
    """What `"auto"` stands for; other names stay.

    Args:
        name: One of `config.PRECISIONS`.
        fast: Those of `FAST` that all devices have units for.
        replicas: Number of devices that train together.

    Raises:
        InputError: If several replicas are to compute in float16. Keras has
            each decide for itself whether its gradients are finite; one that
            skips a step leaves the others waiting forever.
    """
    if name == "float16" and replicas > 1:
        raise InputError(
            "float16 trains on one device alone; bfloat16 and float32 on "
            f"several. Received: {replicas} replicas"
        )
    if name != "auto":
        return name
    if "bfloat16" in fast:
        return "bfloat16"
    return "float16" if "float16" in fast and replicas == 1 else "float32"
