"""How soon and how fast a trained model answers, in every form.

    python -m benchmarks.serving

Exports the model that comes with the package, asks every form of it for one
pair, many times over, and for many in batches of 32, in turns in one process;
then starts processes that answer one pair. Prints medians, the 99th percentile
and ratios, and writes them to `benchmarks/results/serving.json`.
"""

import json
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

from keras_mnist_sum.utils.quiet import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402

from benchmarks import flags  # noqa: E402
from keras_mnist_sum import Predictor  # noqa: E402
from keras_mnist_sum import load_pretrained  # noqa: E402
from keras_mnist_sum.data.sources import load_mnist  # noqa: E402
from keras_mnist_sum.formats import export  # noqa: E402
from keras_mnist_sum.formats.model_file import model_inputs  # noqa: E402
from keras_mnist_sum.formats.open import open_model  # noqa: E402
from keras_mnist_sum.formats.pretrained import checked_path  # noqa: E402
from keras_mnist_sum.utils import environment  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "serving.json"
ROUNDS = 9
BATCH, BATCHES = 32, 31
BARE = "ONNX Runtime"  # What ratios are to.

LOADING = """
import sys
import numpy as np
from keras_mnist_sum.formats.open import open_model

open_model(sys.argv[1]).predict({
    "image": np.ones((1, 28, 28, 1), "float32"),
    "number": np.eye(10, dtype="float32")[:1],
})
"""


def main() -> None:
    flags.take_none(__doc__)
    tf.get_logger().setLevel("ERROR")  # New shapes are meant to be traced.
    mnist = load_mnist("sample")
    images = mnist.test_images[: BATCH * BATCHES]
    numbers = np.arange(len(images)) % 10
    many = model_inputs(images, numbers)
    one = {name: array[:1] for name, array in many.items()}
    slices = [slice(x, x + BATCH) for x in range(0, len(images), BATCH)]
    batches = [{k: x[part] for k, x in many.items()} for part in slices]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = load_pretrained()
        files = {
            BARE: checked_path("model.onnx"),
            "LiteRT": export.export(model, folder, "litert").path,
            "LiteRT, int8": export.export(
                model, folder, "litert", mnist.train_images
            ).path,
        }
        saved = export.export(model, folder, "saved_model").path
        predictor = Predictor.load()
        forms: dict[str, Callable] = {
            "model(...)": model,
            "SavedModel": open_model(saved).predict,
            **{kind: open_model(path).predict for kind, path in files.items()},
        }
        asked: dict[str, dict[str, Callable]] = {
            kind: {
                "one": lambda answer=answer: answer(one),
                "many": lambda answer=answer: [answer(x) for x in batches],
            }
            for kind, answer in forms.items()
        }
        asked["model.predict"] = {
            "one": lambda: model.predict(one, verbose=0),
            "many": lambda: model.predict(many, batch_size=BATCH, verbose=0),
        }
        asked["Predictor"] = {
            "one": lambda: predictor(images[0], 3),
            "many": lambda: [predictor(images[x], numbers[x]) for x in slices],
        }
        measured = measure(asked)
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
        seconds = start(commands)
        report: dict[str, Any] = {
            "command": "python -m benchmarks.serving",
            "n": ROUNDS,
            "answers": measured,
            "milliseconds_of_a_process": {
                kind: round(1000 * value) for kind, value in seconds.items()
            },
            "bytes": {kind: x.stat().st_size for kind, x in files.items()},
            "environment": environment.facts(),
        }
    for kind, row in measured.items():
        print(
            f"{kind:<14}{row['p50_ms']:9.3f} ms a pair (99 % within "
            f"{row['p99_ms']:.3f}), {row['ratio']:6.1f} of {BARE}'s;"
            f"{row['pairs_per_second']:9,} pairs/s in batches of {BATCH}"
        )
    for kind, milliseconds in report["milliseconds_of_a_process"].items():
        print(f"{kind:<28}{milliseconds:6} ms, process and first answer")
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


def measure(asked: dict[str, dict[str, Callable]]) -> dict[str, dict]:
    """Times every form in turns: 0.5 s of single pairs, then the batches."""
    singles: dict[str, list[float]] = {kind: [] for kind in asked}
    medians: dict[str, list[float]] = {kind: [] for kind in asked}
    batches: dict[str, list[float]] = {kind: [] for kind in asked}
    for turn in range(ROUNDS + 1):
        for kind, calls in asked.items():
            times = []
            end = time.perf_counter() + 0.5
            while time.perf_counter() < end:
                times.append(timed(calls["one"]))
            whole = timed(calls["many"])
            if turn:  # The first one traces.
                singles[kind] += times
                medians[kind].append(statistics.median(times))
                batches[kind].append(whole)
    return {
        kind: {
            "p50_ms": round(1000 * float(np.percentile(singles[kind], 50)), 3),
            "p99_ms": round(1000 * float(np.percentile(singles[kind], 99)), 3),
            "ratio": round(
                statistics.median(
                    mine / bare
                    for mine, bare in zip(
                        medians[kind], medians[BARE], strict=True
                    )
                ),
                2,
            ),
            "pairs_per_second": round(
                BATCH * BATCHES / statistics.median(batches[kind])
            ),
        }
        for kind in asked
    }


def start(commands: dict[str, list[str]]) -> dict[str, float]:
    """The median seconds of whole processes, in turns."""
    times: dict[str, list[float]] = {kind: [] for kind in commands}
    for _ in range(ROUNDS):
        for kind, command in commands.items():
            begun = time.perf_counter()
            subprocess.check_output(command)
            times[kind].append(time.perf_counter() - begun)
    return {kind: statistics.median(values) for kind, values in times.items()}


def timed(call: Callable) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
