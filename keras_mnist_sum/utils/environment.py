"""On what a run ran: versions and machine, for `environment.json`."""

import importlib.metadata
import json
import os
import platform
import sys
from datetime import datetime
from datetime import timezone

import tensorflow as tf

_CPUINFO = "/proc/cpuinfo"  # on Linux
_PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "mlxtend", "numpy")


def to_json(replicas: int = 1) -> str:
    """Time, command, versions and machine, as JSON text.

    Args:
        replicas: Copies of the model that train together.
    """
    command = {"command": sys.argv}
    return json.dumps({**command, **facts(replicas)}, indent=2) + "\n"


def facts(replicas: int = 1) -> dict:
    """The same without the command, as a dict of what JSON has."""
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "device": device(),
        "replicas": replicas,
    }


def drift(text: str, replicas: int = 1) -> str:
    """What of `to_json`'s `text` that decides the last digits of a result is
    otherwise here: names and both values, or an empty string."""

    def deciding(facts: dict) -> dict:
        packages = facts.get("packages") or {}
        rest = ("python", "processor", "cores", "device", "replicas")
        return {**packages, **{name: facts.get(name) for name in rest}}

    try:
        before = deciding(json.loads(text))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return "what it began with cannot be read"
    now = deciding(facts(replicas))
    return ", ".join(
        f"{name} {before.get(name)} then, {now[name]} now"
        for name in now
        if before.get(name) != now[name]
    )


def device() -> str:
    """The devices that TensorFlow computes on, for a person."""
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus:
        return f"{gpus} GPU{'s' if gpus > 1 else ''}"
    return f"CPU ({cores()} core{'s' if cores() > 1 else ''})"


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def version(package: str) -> str | None:
    """The version of an installed package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def multiplies_bfloat16() -> bool:
    """Whether the CPU multiplies matrices of bfloat16 faster than of float32:
    x86 with AMX or AVX-512 BF16, as Linux tells. Emulated, it is slower."""
    return not {"amx_bf16", "avx512_bf16"}.isdisjoint(
        _of_processor("flags").split()
    )


def _processor() -> str:
    name = _of_processor("model name")
    return name or platform.processor() or platform.machine()


def _of_processor(fact: str) -> str:
    """What Linux says of the first core; an empty string where it does not."""
    try:
        with open(_CPUINFO, encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == fact:
                    return value.strip()
    except OSError:
        pass
    return ""
