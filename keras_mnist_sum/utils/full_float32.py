"""float32 as it is: no TensorFloat-32."""

import contextlib
import sys
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_inside = 0  # Blocks that run now, in all threads.
_before = True


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Has TensorFlow multiply float32 numbers as they are in the block.

    By itself it rounds them to TensorFloat-32, of 10 bits instead of 23, on
    NVIDIA's GPUs since Ampere. An answer then changes with the batch that it is
    given in, by 5e-4 of a probability. See
    https://www.tensorflow.org/api_docs/python/tf/config/experimental/enable_tensor_float_32_execution
    """
    global _inside, _before
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        yield
        return
    options = tensorflow.config.experimental
    with _lock:
        if _inside == 0:
            _before = options.tensor_float_32_execution_enabled()
            options.enable_tensor_float_32_execution(False)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                options.enable_tensor_float_32_execution(_before)
