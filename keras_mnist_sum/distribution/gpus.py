"""Which GPUs of this machine are whose."""

import itertools
import os
import re
import subprocess

from keras_mnist_sum.errors import InputError


def share_gpus(workers: int) -> list[dict[str, str]]:
    """The environment variables that give each worker GPUs of its own.

    As many to one as to another; what is left over stays idle.

    Args:
        workers: Number of processes.

    Returns:
        A dict for each worker, empty where there are no GPUs.

    Raises:
        InputError: If there are more workers than GPUs.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
        try:
            text = subprocess.run(query, capture_output=True, timeout=30).stdout
        except (OSError, subprocess.SubprocessError):  # No driver, or it hangs.
            text = b""
        lines = text.decode(errors="replace").splitlines()
        gpus = [line for line in lines if line.startswith("GPU-")]
    else:
        # As CUDA reads it: up to the first that is no device.
        names = [name.strip() for name in visible.split(",")]
        is_gpu = re.compile(r"\d+$|GPU-|MIG-").match
        gpus = list(itertools.takewhile(is_gpu, names))
    if not gpus:
        return [{}] * workers
    if workers > len(gpus):
        raise InputError(
            "Each worker needs a GPU of its own; CUDA_VISIBLE_DEVICES=-1 "
            f"trains on the CPU. Received: workers={workers}, GPUs: {len(gpus)}"
        )
    each = len(gpus) // workers
    return [
        {"CUDA_VISIBLE_DEVICES": ",".join(gpus[i * each : (i + 1) * each])}
        for i in range(workers)
    ]
