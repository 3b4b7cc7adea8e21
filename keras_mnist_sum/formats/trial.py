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
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_mnist_sum.data import cache
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import NUM_DIGITS
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils.regular_files import open_regular

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
# Keras imports these if they are there, for seconds, and needs none of them.
_NOT_NEEDED = ("matplotlib", "pandas", "sklearn")
_CHILD = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from keras_mnist_sum.formats import trial; trial.main()"
)
_REFUSED = 2

_SHIPPED = frozenset(pretrained.SHA256.values())
_known: set[tuple[str, str]] = set()  # format and SHA-256
_begun: dict[tuple[str, str], subprocess.Popen] = {}  # the same


def read_tried(module: str, path: Path, task: Task | None) -> bytes:
    """Reads a model file once it has opened and answered in another process.

    That is done once: a file is known afterwards by its SHA-256, to this
    process and, by an empty file in the cache folder, to later ones with the
    same version of the runtime. Files that this package wrote or came with are
    known, too. With `KERAS_MNIST_SUM_TRUST_MODELS=1` all are believed.

    Args:
        module: The format's module in this folder. Its `open_content` is
            called with the other arguments and the file's content.
        path: The file.
        task: As for `checked_model`.

    Returns:
        What it holds.

    Raises:
        InputError: If it is refused there, or the process crashes or takes too
            much memory or time, or cannot be started; or if the file changes
            meanwhile.
    """
    digest = _digest(path)
    if os.environ.get(TRUST) != "1" and not _is_known(module, digest):
        _try(module, path, digest, task)
        _remember(module, digest)
    return _read(path, digest)


@contextlib.contextmanager
def begun(module: str, path: Path, task: Task | None) -> Iterator[None]:
    """Tries a file while the block does other things, before it calls
    `read_tried` with the same arguments. Raises as that does."""
    digest = _digest(path)
    if os.environ.get(TRUST) == "1" or _is_known(module, digest):
        yield
        return
    child = _begun[module, digest] = _start(module, path, digest, task)
    try:
        yield
    finally:
        _begun.pop((module, digest), None)
        _end(child)


def _try(module: str, path: Path, digest: str, task: Task | None) -> None:
    child = _begun.pop((module, digest), None)
    child = child or _start(module, path, digest, task)
    try:
        said, _ = child.communicate(timeout=_MOST_SECONDS)
    except subprocess.TimeoutExpired:
        raise _failed(path, "took too long") from None
    finally:
        _end(child)
    if child.returncode == _REFUSED:
        raise InputError(said.decode(errors="replace"))
    if child.returncode == -getattr(signal, "SIGXCPU", 0):
        raise _failed(path, "took too long")
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        raise _failed(path, f"was ended by {name}")
    if child.returncode:
        raise _failed(path, f"ended with exit code {child.returncode}")


def _start(
    module: str, path: Path, digest: str, task: Task | None
) -> subprocess.Popen:
    try:
        limits = _MEMORY + 4 * path.stat().st_size, _SECONDS
        child = subprocess.Popen(
            # -P: what is in the working directory is not for it.
            [sys.executable, "-P", "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            start_new_session=True,  # Ctrl-C is for this process.
        )
    except OSError as error:
        raise InputError(
            "A model file is tried in a process of its own, which cannot be "
            f"started ({error.strerror or error}). Received: {str(path)!r}"
        ) from error
    with contextlib.suppress(BrokenPipeError), child.stdin as pipe:  # type: ignore[union-attr]
        pipe.write(pickle.dumps(sys.path))
        pipe.write(pickle.dumps((module, path, digest, task, *limits)))
    child.stdin = None
    return child


def _end(child: subprocess.Popen) -> None:
    child.kill()
    with child:  # Closes its pipes, and waits.
        pass


def _digest(path: Path) -> str:
    with _readable(path), open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, digest: str) -> bytes:
    """The content of the file with this SHA-256."""
    with _readable(path), open_regular(path) as file:
        content = file.read()
        if hashlib.sha256(content).hexdigest() != digest:
            raise OSError("it changed while it was read")
        return content


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            "Cannot read this model file. "
            f"Received: {str(path)!r} ({error.strerror or error})"
        ) from error


def remember(module: str, path: Path) -> None:
    """Believes a file that this package wrote. Arguments: see `read_tried`."""
    _remember(module, _digest(path))


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
    """What the other process does: see `read_tried`."""
    module, path, digest, task, memory, seconds = pickle.load(sys.stdin.buffer)
    answer = os.dup(1)
    os.dup2(2, 1)  # What a runtime prints is no answer.
    _take_few_cores()
    with contextlib.suppress(OSError):
        # If the system has no memory left, this one ends, and no other.
        Path("/proc/self/oom_score_adj").write_text("1000")
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_DATA", memory)
    for name in _NOT_NEEDED:
        sys.modules[name] = None  # type: ignore[assignment]
    opener = importlib.import_module(f"keras_mnist_sum.formats.{module}")
    _limit("RLIMIT_CPU", round(time.process_time()) + seconds)
    noise = np.random.default_rng(0).integers(
        0, 256, (_BATCH, *IMAGE_SHAPE), "uint8"
    )
    pairs = model_inputs(noise, np.arange(_BATCH) % NUM_DIGITS)
    pairs["image"][::2] *= 255
    try:
        content = _read(path, digest)
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
