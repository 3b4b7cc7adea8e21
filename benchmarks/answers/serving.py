"""How soon and how fast a trained model answers, in every form.

Exports the model that comes with the package, asks every form of it for one
pair, many times over, and for many in batches of 32, in turns in one process;
then starts processes that answer one pair.
"""

import argparse
import functools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import harness
from benchmarks.turns import interleave
from keras_mnist_sum import Predictor
from keras_mnist_sum import load_pretrained
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.formats.pretrained import checked_path

OPTIONS = {
    "rounds": (9, "turns of everything"),
    "seconds": (0.5, "of single pairs, in a turn"),
    "batches": (31, "of pairs, in a turn"),
}
SMOKE = {"rounds": 1, "seconds": 0.01, "batches": 1}
BATCH, BARE = 32, "ONNX Runtime"  # What ratios are to.
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
    mnist = load_mnist("sample")
    images = mnist.test_images[: BATCH * values.batches]
    numbers = np.arange(len(images)) % 10
    many = model_inputs(images, numbers)
    one = {name: array[:1] for name, array in many.items()}
    slices = [slice(x, x + BATCH) for x in range(0, len(images), BATCH)]
    batches = [{k: x[part] for k, x in many.items()} for part in slices]
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), load_pretrained()
        predictor = Predictor.load()
        small = export(model, folder, "litert", mnist.train_images).path
        files = {
            BARE: checked_path("model.onnx"),
            "LiteRT": export(model, folder, "litert").path,
            "LiteRT, int8": small,
        }
        saved = export(model, folder, "saved_model").path
        forms: dict[str, Callable] = {
            "model(...)": model,
            "SavedModel": open_model(saved).predict,
            **{kind: open_model(path).predict for kind, path in files.items()},
        }
        ones: dict[str, Callable] = {
            "model.predict": lambda: model.predict(one, verbose=0),
            "Predictor": lambda: predictor(images[0], 3),
        }
        manies: dict[str, Callable] = {
            "model.predict": lambda: model.predict(many, BATCH, verbose=0),
            "Predictor": lambda: [
                predictor(images[x], numbers[x]) for x in slices
            ],
        }
        for kind, form in forms.items():
            ones[kind] = functools.partial(form, one)
            manies[kind] = lambda form=form: [form(x) for x in batches]
        photo = folder / "photo.png"
        Image.fromarray(255 - images[0]).resize((600, 600)).save(photo)
        commands = {
            kind: [sys.executable, "-c", LOADING, str(path)]
            for kind, path in files.items()
        }
        commands["predict PICTURE --number N"] = [
            *(sys.executable, "-m", "keras_mnist_sum", "predict"),
            *(str(photo), "--number", "3"),
        ]
        singles: dict[str, list[float]] = {kind: [] for kind in ones}

        def ask(kind: str) -> float:
            times = milliseconds(ones[kind], values.seconds)
            singles[kind] += times
            return statistics.median(times) / 1000

        for call in ones.values():
            call()  # Traces.
        call = functools.partial
        asks = {kind: call(ask, kind) for kind in ones}
        pairs = interleave(asks, values.rounds, warm=0)
        whole = interleave(manies, values.rounds)
        starts = {
            kind: call(subprocess.check_output, command)
            for kind, command in commands.items()
        }
        processes = interleave(starts, values.rounds, warm=0)
        sizes = {kind: path.stat().st_size for kind, path in files.items()}
    answers = {
        kind: {
            "p50_ms": round(float(np.percentile(singles[kind], 50)), 3),
            "p99_ms": round(float(np.percentile(singles[kind], 99)), 3),
            "ratio": pairs.ratio(kind, BARE, 2),
            "pairs_per_second": round(len(images) / whole.median(kind)),
        }
        for kind in ones
    }
    found = {
        "answers": answers,
        "milliseconds_of_a_process": {
            x: round(processes.milliseconds(x)) for x in commands
        },
        "bytes": sizes,
        "turns": {"pairs": pairs.to_json(), "batches": whole.to_json()},
    }
    harness.save(values, found)


def milliseconds(call: Callable, seconds: float) -> list[float]:
    """Of each call, again and again for so many seconds, once at least."""
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return times
