"""How soon the pretrained model answers one pair in the runtimes of others.

    CLIENTS=FOLDER python -m benchmarks.runtimes

Each runtime answers the same pairs in a process of its own, by the programs in
`tests/clients/`, in turns with ONNX Runtime in Python; FOLDER is where their
packages are (`tests/clients/requirements.txt`). Prints medians and ratios, and
writes them to `benchmarks/results/runtimes.json`.
"""

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

from benchmarks import flags
from keras_mnist_sum.utils.quiet import import_tensorflow

RESULTS = Path(__file__).parent / "results" / "runtimes.json"
CLIENTS = Path(os.environ.get("CLIENTS", "tests/clients/installed")).absolute()
SCRIPTS = Path(__file__).parents[1] / "tests" / "clients"
ROUNDS = 7
PAIRS, WARM = 60, 10  # The first ones are not counted.
BARE = "ONNX Runtime, Python"


def main() -> None:
    flags.take_none(__doc__)
    import_tensorflow()
    from keras_mnist_sum.data.sources import load_mnist
    from keras_mnist_sum.formats.export import export
    from keras_mnist_sum.formats.model_file import model_inputs
    from keras_mnist_sum.formats.open import open_model
    from keras_mnist_sum.formats.pretrained import load_pretrained
    from keras_mnist_sum.utils import environment

    mnist, model = load_mnist("sample"), load_pretrained()
    pairs = model_inputs(mnist.test_images[:PAIRS], np.arange(PAIRS) % 10)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "node_modules").symlink_to(CLIENTS / "node_modules")
        np.savez(folder / "float.npz", **pairs)
        np.savez(
            folder / "bytes.npz",
            **{k: np.rint(255 * x).astype("uint8") for k, x in pairs.items()},
        )
        (folder / "in.json").write_text(
            json.dumps({k: x.tolist() for k, x in pairs.items()})
        )
        onnx, litert = (
            export(model, folder, format, batch=1).path
            for format in ("onnx", "litert")
        )
        integers = export(
            model, folder, "litert", mnist.train_images, "all"
        ).path
        saved = export(model, folder, "saved_model").path
        _program([sys.executable, "to_tensorflowjs.py", saved, folder / "tfjs"])

        def python(script: str, path: Path, given: str) -> Callable:
            command = [sys.executable, script, path, folder / given]
            return lambda: _program([*command, folder / "out.npz"])

        def node(script: str, path: Path) -> Callable:
            copy = shutil.copy(SCRIPTS / script, folder)
            command = ["node", copy, path, folder / "in.json"]
            return lambda: _program([*command, folder / "out.json"])

        def here(path: Path) -> Callable:
            predict = open_model(path).predict
            return lambda: _times(predict, pairs)

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
        medians: dict[str, list[float]] = {kind: [] for kind in runtimes}
        for _ in range(ROUNDS):
            for kind, run in runtimes.items():
                medians[kind].append(statistics.median(run()[WARM:]))
    rows = {
        kind: {
            "median_ms": round(statistics.median(times), 3),
            "ratio": round(
                statistics.median(
                    time / bare
                    for time, bare in zip(times, medians[BARE], strict=True)
                ),
                2,
            ),
        }
        for kind, times in medians.items()
    }
    for kind, row in rows.items():
        print(f"{kind:<29}{row['median_ms']:9.3f} ms {row['ratio']:8.2f}")
    report = {
        "command": "python -m benchmarks.runtimes",
        "n": ROUNDS,
        "runtimes": rows,
        "environment": environment.facts(),
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


def _times(predict: Callable, pairs: dict[str, np.ndarray]) -> list[float]:
    times = []
    for i in range(PAIRS):
        one = {name: x[[i]] for name, x in pairs.items()}
        start = time.perf_counter()
        predict(one)
        times.append(1000 * (time.perf_counter() - start))
    return times


def _program(command: list) -> list[float]:
    """The milliseconds that a program prints."""
    result = subprocess.run(
        [*map(str, command)],
        check=True,
        capture_output=True,
        text=True,
        cwd=SCRIPTS,
        env={**os.environ, "PYTHONPATH": str(CLIENTS / "python")},
    )
    return [float(x) for x in result.stdout.split() if x[0].isdigit()]


if __name__ == "__main__":
    main()
