"""How soon and how fast exported models answer, without TensorFlow.

python -m benchmarks.serving exported/model.onnx exported/model.tflite
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import time

start = time.perf_counter()
import numpy as np

numpy_is_there = time.perf_counter()
from keras_mnist_sum import runtimes

path = sys.argv[1]
onnx = path.endswith(".onnx")
predict, _ = (runtimes.load_onnx if onnx else runtimes.load_litert)(path)
rng = np.random.default_rng(0)
pair = {
    "image": rng.random((1, 28, 28, 1), "float32"),
    "number": np.eye(10, dtype="float32")[:1],
}
predict(pair)
answered = time.perf_counter()
times = []
for _ in range(2000):
    before = time.perf_counter()
    predict(pair)
    times.append(time.perf_counter() - before)
print(numpy_is_there - start, answered - numpy_is_there, np.median(times))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--repeats", type=int, default=9, metavar="N")
    values = parser.parse_args()
    measured: dict[Path, list] = {path: [] for path in values.files}
    for _ in range(values.repeats):
        for path in measured:  # in turns
            said = subprocess.check_output(
                [sys.executable, "-c", PROGRAM, path]
            )
            measured[path].append([float(x) for x in said.split()])
    print(f"medians of {values.repeats} processes, one thread")
    for path, rows in measured.items():
        numpy, ready, pair = map(statistics.median, zip(*rows))
        print(
            f"{path.name:<18}{path.stat().st_size:>10,} bytes   import numpy "
            f"{1e3 * numpy:.0f} ms, then first answer after {1e3 * ready:.0f} "
            f"ms   one pair {1e3 * pair:.2f} ms"
        )


if __name__ == "__main__":
    main()
