"""How soon the pretrained model answers one pair in the runtimes of others.

Each runtime answers the same pairs in a process of its own, by the programs in
`tests/clients/`, in turns with ONNX Runtime in Python; `$CLIENTS` is the folder
where their packages are (`tests/clients/requirements.txt`).
"""

import argparse
import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import harness
from benchmarks.turns import interleave
from keras_mnist_sum import load_mnist
from keras_mnist_sum import load_pretrained
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.quiet import import_tensorflow

CLIENTS = Path(os.environ.get("CLIENTS", "tests/clients/installed")).absolute()
SCRIPTS = harness.ROOT / "tests" / "clients"
BARE = "ONNX Runtime, Python"
WARM = 10  # pairs, the first of a turn, are not counted.
OPTIONS = {
    "rounds": (7, "turns of everything"),
    "pairs": (60, "of a turn; the first ten do not count"),
}
SMOKE = {"rounds": 1, "pairs": 12}


def main(values: argparse.Namespace) -> None:
    if not (CLIENTS / "python").is_dir():
        raise InputError(
            "CLIENTS must name the folder of the runtimes, as .ci/run makes "
            f"it. Received: CLIENTS={str(CLIENTS)!r}"
        )
    import_tensorflow()
    from keras_mnist_sum.formats.export import export
    from keras_mnist_sum.formats.model_file import model_inputs
    from keras_mnist_sum.formats.open import open_model

    mnist, model, count = load_mnist("sample"), load_pretrained(), values.pairs
    pairs = model_inputs(mnist.test_images[:count], np.arange(count) % 10)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "node_modules").symlink_to(CLIENTS / "node_modules")
        np.savez(folder / "float.npz", **pairs)
        whole = {k: np.rint(255 * x).astype("uint8") for k, x in pairs.items()}
        np.savez(folder / "bytes.npz", **whole)
        text = json.dumps({k: x.tolist() for k, x in pairs.items()})
        (folder / "in.json").write_text(text)
        onnx, litert = (
            export(model, folder, kind, batch=1).path
            for kind in ("onnx", "litert")
        )
        images = mnist.train_images
        integers = export(model, folder, "litert", images, "all").path
        saved = export(model, folder, "saved_model").path
        _program(sys.executable, "to_tensorflowjs.py", saved, folder / "tfjs")

        def python(script: str, path: Path, given: str) -> Callable:
            files = path, folder / given, folder / "out.npz"
            return functools.partial(_program, sys.executable, script, *files)

        def node(script: str, path: Path) -> Callable:
            copy = shutil.copy(SCRIPTS / script, folder)
            files = path, folder / "in.json", folder / "out.json"
            return functools.partial(_program, "node", copy, *files)

        def here(path: Path) -> Callable:
            return functools.partial(_here, open_model(path).predict, pairs)

        micro = "run_tflite_micro.py"
        runtimes = {
            BARE: here(onnx),
            "LiteRT, Python": here(litert),
            "LiteRT, Python, all integers": here(integers),
            "OpenCV": python("run_opencv.py", onnx, "float.npz"),
            "LiteRT Micro": python(micro, litert, "float.npz"),
            "LiteRT Micro, all integers": python(micro, integers, "bytes.npz"),
            "ONNX Runtime Web": node("run_onnxruntime_web.mjs", onnx),
            "TensorFlow.js": node("run_tensorflowjs.cjs", folder / "tfjs"),
        }
        turns = interleave(runtimes, values.rounds, warm=0)
    rows = {
        kind: {
            "median_ms": turns.milliseconds(kind, 3),
            "ratio": turns.ratio(kind, BARE, 2),
        }
        for kind in runtimes
    }
    harness.save(values, {"runtimes": rows, "turns": turns.to_json()})


def _here(predict: Callable, pairs: dict[str, np.ndarray]) -> float:
    """The median seconds of a pair."""
    times = []
    for i in range(len(pairs["image"])):
        one = {name: x[[i]] for name, x in pairs.items()}
        start = time.perf_counter()
        predict(one)
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARM:])


def _program(*command: object) -> float | None:
    """The median seconds of a pair, by the milliseconds that it prints."""
    result = subprocess.run(
        [*map(str, command)],
        check=True,
        capture_output=True,
        text=True,
        cwd=SCRIPTS,
        env={**os.environ, "PYTHONPATH": str(CLIENTS / "python")},
    )
    times = [float(x) for x in result.stdout.split() if x[0].isdigit()]
    return statistics.median(times[WARM:]) / 1000 if times else None
