"""How soon and how fast the pretrained model answers, in every form.

Asks every form of it for one pair, many times over, in turns with the runtimes
of others, by the programs in `tests/clients/`; asks for many in batches of 32;
and starts processes that answer one pair. `$CLIENTS` is the folder where the
packages of the others are (`tests/clients/requirements.txt`).
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
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import harness
from benchmarks.turns import interleave
from keras_mnist_sum import Predictor
from keras_mnist_sum import load_pretrained
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.formats.pretrained import checked_path

CLIENTS = Path(os.environ.get("CLIENTS", "tests/clients/installed")).absolute()
OPTIONS = {
    "rounds": (9, "turns of everything"),
    "seconds": (0.5, "of single pairs, in a turn"),
    "batches": (31, "of pairs, in a turn"),
}
SMOKE = {"rounds": 1, "seconds": 0.01, "batches": 1}
BATCH = 32
PAIRS, WARM = 60, 10  # of a program in a turn; the first ones do not count
BARE, BARE_BATCH_1 = "ONNX Runtime", "ONNX Runtime, Python"  # of ratios
LOADING = """
import sys
import numpy as np
from keras_mnist_sum.formats.open import open_model

open_model(sys.argv[1]).predict({
    "image": np.ones((1, 28, 28, 1), "float32"),
    "number": np.eye(10, dtype="float32")[:1],
})
"""


def main(values: argparse.Namespace) -> None:
    if not all((CLIENTS / x).is_dir() for x in ("python", "node_modules")):
        raise InputError(
            "CLIENTS must name the folder of the runtimes, as .ci/run makes "
            f"it. Received: CLIENTS={str(CLIENTS)!r}"
        )
    with tempfile.TemporaryDirectory() as folder:
        harness.save(values, measure(values, Path(folder)))


def measure(values: argparse.Namespace, folder: Path) -> dict[str, Any]:
    mnist, model = load_mnist("sample"), load_pretrained()
    images = mnist.test_images[: BATCH * values.batches]
    numbers = np.arange(len(images)) % 10
    many = model_inputs(images, numbers)
    one = {name: array[:1] for name, array in many.items()}
    slices = [slice(x, x + BATCH) for x in range(0, len(images), BATCH)]
    batches = [{k: x[part] for k, x in many.items()} for part in slices]

    def write(*how: Any, batch: int | None = None) -> Path:
        return export(model, folder, *how, batch=batch).path

    saved, calibration = write("saved_model"), mnist.train_images
    files = {
        BARE: checked_path("model.onnx"),
        "LiteRT": write("litert"),
        "LiteRT, int8": write("litert", calibration),
    }
    files_of_one = {
        BARE_BATCH_1: write("onnx", batch=1),
        "LiteRT, Python": write("litert", batch=1),
        "LiteRT, Python, all integers": write("litert", calibration, "all"),
    }
    predictor = Predictor.load()
    ones: dict[str, Callable] = {
        "model.predict": lambda: model.predict(one, verbose=0),
        "Predictor": lambda: predictor(images[0], 3),
    }
    manies: dict[str, Callable] = {
        "model.predict": lambda: model.predict(many, BATCH, verbose=0),
        "Predictor": lambda: [predictor(images[x], numbers[x]) for x in slices],
    }
    forms: dict[str, Callable] = {"model(...)": model}
    for kind, path in {"SavedModel": saved, **files, **files_of_one}.items():
        forms[kind] = open_model(path).predict
    for kind, form in forms.items():
        ones[kind] = functools.partial(form, one)
        if kind not in files_of_one:
            manies[kind] = lambda form=form: [form(x) for x in batches]
    for call in ones.values():
        call()  # Traces.
    asked = {
        kind: functools.partial(milliseconds, call, values.seconds)
        for kind, call in ones.items()
    } | programs(folder, [*files_of_one.values(), saved], many)
    singles: dict[str, list[float]] = {kind: [] for kind in asked}

    def ask(kind: str) -> float:
        times = asked[kind]()
        singles[kind] += times
        return statistics.median(times) / 1000

    asks = {kind: functools.partial(ask, kind) for kind in asked}
    pairs = interleave(asks, values.rounds, warm=0)
    whole = interleave(manies, values.rounds)
    photo = folder / "photo.png"
    Image.fromarray(255 - images[0]).resize((600, 600)).save(photo)
    predict = ("-m", "keras_mnist_sum", "predict", photo, "--number", 3)
    commands = {kind: ("-c", LOADING, path) for kind, path in files.items()}
    commands["predict PICTURE --number N"] = predict
    starts = {
        kind: functools.partial(harness.python, *command)
        for kind, command in commands.items()
    }
    processes = interleave(starts, values.rounds, warm=0)

    def row(kind: str, bare: str) -> dict[str, float]:
        p50, p99 = np.percentile(singles[kind], (50, 99)).round(3).tolist()
        ratio = pairs.ratio(kind, bare, 2)
        return {"p50_ms": p50, "p99_ms": p99, "ratio": ratio}

    answers = {kind: row(kind, BARE) for kind in manies}
    for kind in manies:
        speed = round(len(images) / whole.median(kind))
        answers[kind]["pairs_per_second"] = speed
    others = [kind for kind in asked if kind not in manies]
    paths = [*files.values(), *files_of_one.values()]
    return {
        "answers": answers,
        "runtimes": {kind: row(kind, BARE_BATCH_1) for kind in others},
        "milliseconds_of_a_process": {
            kind: round(processes.milliseconds(kind)) for kind in starts
        },
        "bytes": {path.name: path.stat().st_size for path in paths},
        "turns": {"pairs": pairs.to_json(), "batches": whole.to_json()},
    }


def programs(
    folder: Path, paths: list[Path], pairs: dict[str, np.ndarray]
) -> dict[str, Callable[[], list[float]]]:
    """Programs of `tests/clients/`, as functions that return milliseconds.

    Args:
        folder: Where to put what they need.
        paths: Of the model for ONNX, LiteRT and microcontrollers, one pair at a
            time, and of the SavedModel.
        pairs: What to ask.
    """
    onnx, litert, integers, saved = paths
    (folder / "node_modules").symlink_to(CLIENTS / "node_modules")
    given = {name: array[:PAIRS] for name, array in pairs.items()}
    np.savez(folder / "float.npz", **given)
    whole = {k: np.rint(255 * x).astype("uint8") for k, x in given.items()}
    np.savez(folder / "bytes.npz", **whole)
    text = json.dumps({name: array.tolist() for name, array in given.items()})
    (folder / "in.json").write_text(text)

    def run(script: str, *arguments: Any) -> str:
        copy = shutil.copy(harness.ROOT / "tests" / "clients" / script, folder)
        runner = sys.executable if script.endswith(".py") else "node"
        env = {**os.environ, "PYTHONPATH": str(CLIENTS / "python")}
        command = [runner, *map(str, (copy, *arguments))]
        return subprocess.check_output(command, text=True, cwd=folder, env=env)

    def times(*how: Any) -> list[float]:
        return [float(x) for x in run(*how, "out.npz").split()][WARM:]

    run("to_tensorflowjs.py", saved, "tfjs")
    micro = "run_tflite_micro.py"
    commands = {
        "OpenCV": ("run_opencv.py", onnx, "float.npz"),
        "LiteRT Micro": (micro, litert, "float.npz"),
        "LiteRT Micro, all integers": (micro, integers, "bytes.npz"),
        "ONNX Runtime Web": ("run_onnxruntime_web.mjs", onnx, "in.json"),
        "TensorFlow.js": ("run_tensorflowjs.cjs", "tfjs", "in.json"),
    }
    return {
        kind: functools.partial(times, *command)
        for kind, command in commands.items()
    }


def milliseconds(call: Callable, seconds: float) -> list[float]:
    """Of each call, again and again for so many seconds, once at least."""
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return times
