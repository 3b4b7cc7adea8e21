"""A model file is tried in a process of its own before it is believed.

A damaged or hostile file may make the runtime crash or take any memory or
time, and the process that opens it could do nothing about that.
"""

import contextlib
import hashlib
import importlib
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from keras_mnist_sum.data import cache
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task

TRUST = "KERAS_MNIST_SUM_TRUST_MODELS"

_MEMORY = 4 * 2**30  # bytes, beside four times the file
_SECONDS = 30  # of processor time, to open and to answer
_MOST_SECONDS = 600  # by the clock, to start the runtime, too
_MOST_CORES = 4
_BATCH = 500
_RUNTIMES = {
    "keras_file": ("keras", "tensorflow"),
    "litert_file": ("ai-edge-litert",),
    "onnx_file": ("onnxruntime",),
}
_CHILD = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from keras_mnist_sum.formats import trial; trial.main()"
)
_REFUSED = 2

_SHIPPED = frozenset(pretrained.SHA256.values())
_known: set[tuple[str, str]] = set()  # format and SHA-256


def check(module: str, path: Path, content: bytes, task: Task | None) -> None:
    """Opens a model file, and has it answer, in another process.

    That is done once: a file is known afterwards by its SHA-256, to this
    process and, by an empty file in the cache folder, to later ones with the
    same version of the runtime. Files that this package wrote or came with are
    known, too. With `KERAS_MNIST_SUM_TRUST_MODELS=1` all are believed.

    Args:
        module: The format's module in this folder. Its `open_content` is
            called with the other arguments.
        path: What the file is called.
        content: What it holds.
        task: As for `checked_model`.

    Raises:
        InputError: If it is refused there, or the process crashes or takes too
            much memory or time, or cannot be started.
    """
    digest = hashlib.sha256(content).hexdigest()
    if os.environ.get(TRUST) == "1" or _is_known(module, digest):
        return
    limits = _MEMORY + 4 * len(content), _SECONDS
    arguments = pickle.dumps((module, path, task, *limits))
    try:
        child = subprocess.run(
            # -P: what is in the working directory is not for it.
            [sys.executable, "-P", "-c", _CHILD],
            input=b"".join((pickle.dumps(sys.path), arguments, content)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            timeout=_MOST_SECONDS,
            start_new_session=True,  # Ctrl-C is for this process.
        )
    except subprocess.TimeoutExpired:
        raise _failed(path, "took too long") from None
    except OSError as error:
        raise InputError(
            "A model file is tried in a process of its own, which cannot be "
            f"started ({error.strerror or error}). Received: {str(path)!r}"
        ) from error
    if child.returncode == _REFUSED:
        raise InputError(child.stdout.decode(errors="replace"))
    if child.returncode == -getattr(signal, "SIGXCPU", 0):
        raise _failed(path, "took too long")
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        raise _failed(path, f"was ended by {name}")
    if child.returncode:
        raise _failed(path, f"ended with exit code {child.returncode}")
    _remember(module, digest)


def remember(module: str, path: Path) -> None:
    """Believes a file that this package wrote. Arguments as for `check`."""
    _remember(module, hashlib.sha256(path.read_bytes()).hexdigest())


def _failed(path: Path, how: str) -> InputError:
    return InputError(
        "A model file must open and answer in a trial with "
        f"{_MEMORY // 2**30} GiB of memory and {_SECONDS} s of processor time. "
        f"Received: {str(path)!r}, whose trial {how}"
    )


def _is_known(module: str, digest: str) -> bool:
    if digest in _SHIPPED or (module, digest) in _known:
        return True
    with contextlib.suppress(RuntimeError):  # There is no home.
        return os.path.isfile(_marker(module, digest))
    return False


def _remember(module: str, digest: str) -> None:
    _known.add((module, digest))
    with contextlib.suppress(OSError, RuntimeError):
        marker = _marker(module, digest)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch(exist_ok=False)  # follows no link


def _marker(module: str, digest: str) -> Path:
    import importlib.metadata  # takes a while, and most files are known

    versions = []
    for package in _RUNTIMES[module]:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(importlib.metadata.version(package))
    return cache.folder() / "models" / "-".join([digest, module, *versions])


def main() -> None:
    """What the other process does: see `check`."""
    module, path, task, memory, seconds = pickle.load(sys.stdin.buffer)
    content = sys.stdin.buffer.read()
    answer = os.dup(1)
    os.dup2(2, 1)  # What a runtime prints is no answer.
    _take_few_cores()
    with contextlib.suppress(OSError):
        # If the system has no memory left, this one ends, and no other.
        Path("/proc/self/oom_score_adj").write_text("1000")
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_DATA", memory)
    opener = importlib.import_module(f"keras_mnist_sum.formats.{module}")
    _limit("RLIMIT_CPU", round(time.process_time()) + seconds)
    noise = np.random.default_rng(0).integers(
        0, 256, (_BATCH, *IMAGE_SHAPE), "uint8"
    )
    pairs = model_inputs(noise, np.arange(_BATCH) % NUM_DIGITS)
    pairs["image"][::2] *= 255
    try:
        opener.open_content(path, content, task).predict(pairs)
    except InputError as error:
        os.write(answer, str(error).encode(errors="replace")[:9999])
        sys.exit(_REFUSED)


def _take_few_cores() -> None:
    """Each takes memory for its threads."""
    if hasattr(os, "sched_setaffinity"):  # on Linux
        cores = sorted(os.sched_getaffinity(0))
        few = random.sample(cores, min(_MOST_CORES, len(cores)))
        os.sched_setaffinity(0, few)


def _limit(what: str, most: int) -> None:
    with contextlib.suppress(ImportError):
        import resource  # not on Windows

        kind = getattr(resource, what)
        _, hard = resource.getrlimit(kind)
        unlimited = hard == resource.RLIM_INFINITY
        most = most if unlimited else min(most, hard)
        resource.setrlimit(kind, (most, hard))
