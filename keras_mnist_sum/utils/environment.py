"""What a run ran on: versions and machine, for `environment.json`."""

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from typing import Any

_CPUINFO = "/proc/cpuinfo"  # on Linux
_PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "mlxtend", "numpy")
# Facts that decide the last digits of a result, beside the packages.
_DECISIVE = ("python", "processor", "cores", "device", "replicas")


def to_json(replicas: int = 1) -> str:
    """The command and `facts(replicas)`, as JSON text."""
    content = {"command": sys.argv, **facts(replicas)}
    return json.dumps(content, indent=2) + "\n"


def facts(replicas: int = 1) -> dict[str, Any]:
    """Time, versions and machine, as JSON has them.

    Args:
        replicas: Copies of the model that train together.
    """
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "device": device(),
        "replicas": replicas,
    }


def drift(text: str, replicas: int = 1) -> str:
    """Compares a run's environment with this one.

    Args:
        text: What `to_json` returned when the run began.
        replicas: As `facts` has it.

    Returns:
        The differences that may change the last digits of a result, each with
        both values; an empty string if there are none.
    """
    try:
        before = _decisive(json.loads(text))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return "what it began with cannot be read"
    now = _decisive(facts(replicas))
    return ", ".join(
        f"{name} {before.get(name)} then, {now[name]} now"
        for name in now
        if before.get(name) != now[name]
    )


def _decisive(facts: dict[str, Any]) -> dict[str, Any]:
    packages = facts.get("packages") or {}
    return {**packages, **{name: facts.get(name) for name in _DECISIVE}}


def device() -> str:
    """The devices that TensorFlow computes on, for a person."""
    import tensorflow as tf

    return name_devices(tf.config.get_visible_devices("GPU"))


def name_devices(gpus: Sequence[Any]) -> str:
    """These GPUs of TensorFlow's, or, if there are none, the processor."""
    import tensorflow as tf

    if not gpus:
        return f"CPU ({cores()} core{'s' if cores() > 1 else ''})"
    details = map(tf.config.experimental.get_device_details, gpus)
    cards = {each.get("device_name") for each in details} - {None}
    names = f" ({', '.join(sorted(cards))})" if cards else ""
    return f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''}{names}"


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def version(package: str) -> str | None:
    """The version of an installed package, or `None`."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def multiplies_bfloat16() -> bool:
    """Whether the CPU multiplies matrices of bfloat16 faster than of float32.

    That takes AMX or AVX-512 BF16, and Linux to tell; emulated, it is slower.
    """
    flags = _cpuinfo("flags").split()
    return "amx_bf16" in flags or "avx512_bf16" in flags


def _processor() -> str:
    name = _cpuinfo("model name")
    return name or platform.processor() or platform.machine()


def _cpuinfo(field: str) -> str:
    """What Linux says of the first core; an empty string where it does not."""
    try:
        with open(_CPUINFO, encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == field:
                    return value.strip()
    except OSError:
        pass
    return ""
