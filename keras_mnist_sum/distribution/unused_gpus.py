"""A GPU that is there, and that TensorFlow does not use: why."""

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import tensorflow as tf

_DRIVER = ("libcuda.so.1", "libnvidia-ml.so.1")
_LOOK = "import tensorflow as tf; tf.config.list_physical_devices('GPU')"
# Its messages of all levels, and the name of each library that it misses.
_TALKATIVE = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_VMODULE": "dso_loader=1"}


def explain(root: str = "/", driver: str = _DRIVER[0]) -> str:
    """Says why TensorFlow, which sees no GPU, does not use NVIDIA's.

    That takes some seconds where there is one. TensorFlow looks again in a
    process of its own, which says what it lacks.

    Args:
        root: The folder that has `dev/`.
        driver: The driver's library, as a name or a path.

    Returns:
        What is there, why it is not used and what to do, in one line. An empty
        string where there is no GPU, and where `CUDA_VISIBLE_DEVICES` names
        none, which is how to wish for none.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and not re.match(r"\s*(\d|GPU-|MIG-)", visible):
        return ""
    folder = Path(root, "dev")
    # Those of Linux; that of Windows's subsystem for it counts if there is a
    # driver, too: others than NVIDIA's are also behind it.
    devices = sorted(folder.glob("nvidia[0-9]*"))
    if not devices and not _loads(driver):
        return ""
    there = f"{len(devices)} NVIDIA GPU{'s' * (len(devices) > 1)}"
    if not devices:
        there = f"NVIDIA's driver ({driver})"
    why, remedy = _why_unused()
    if not devices and not (folder / "dxg").exists():
        why += ", and there is no device file /dev/nvidia0"
    if visible is not None:
        why += f", with CUDA_VISIBLE_DEVICES={visible!r}"
    return (
        f"this machine has {there}, and TensorFlow does not use it: {why}. "
        f"{remedy}. CUDA_VISIBLE_DEVICES=-1 trains on the CPU without this line"
    )


def _why_unused() -> tuple[str, str]:
    """The reason, and what to do."""
    install = "Try: pip install -r requirements-gpu.txt"
    driver = "See nvidia-smi; a container needs --gpus all"
    if not tf.test.is_built_with_cuda():
        return "it was built without CUDA", install
    try:
        look = subprocess.run(
            [sys.executable, "-P", "-c", _LOOK],
            env={**os.environ, **_TALKATIVE},
            capture_output=True,
            timeout=120,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__} when it looked again", driver
    said = look.stderr.decode(errors="replace")
    missing = re.findall(r"Could not load dynamic library '([^']+)'", said)
    missing = list(dict.fromkeys(missing))
    if missing:
        only_driver = set(missing) <= set(_DRIVER)
        why = f"it cannot load {', '.join(missing)}"
        return why, driver if only_driver else install
    errors = re.findall(r"(?m)^E[^\]\n]*\] (.*)$", said)
    return errors[-1][:200] if errors else "it does not say why", driver


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
