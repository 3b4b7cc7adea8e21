"""How long is it from a command to what it is for?

    python -m benchmarks.startup

Starts Python with nothing, the import of the package, every command with
`--help` and two trainings, each of them once a round; a training is killed when
it has done its first step. In two more processes a round, MNIST is read from
the prepared set of tensorflow-datasets, once without what an earlier process
kept of it and once with that. Prints medians of the seconds and writes them to
`benchmarks/results/startup.json`. Full MNIST must be prepared.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import flags
from keras_mnist_sum.distribution import heartbeat

ROUNDS = 7
ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "startup.json"
_LOAD = """
from keras_mnist_sum.utils.quiet import import_tensorflow
import_tensorflow()
import time
from keras_mnist_sum.data.sources import load_mnist
start = time.perf_counter()
load_mnist("tfds")
print(time.perf_counter() - start)
"""


def commands() -> list[list[str]]:
    """Every command of the project, as arguments of Python."""
    package = ["-m", "keras_mnist_sum"]
    help_text = _output([*package, "--help"])
    names = re.findall(r"^    ([a-z][\w-]*)", help_text, re.MULTILINE)
    return [["train.py"], ["evaluate.py"], package] + [
        [*package, name] for name in names
    ]


def until_end(arguments: list[str]) -> float:
    start = time.perf_counter()
    _output(arguments)
    return time.perf_counter() - start


def until_first_step(arguments: list[str]) -> float:
    """Seconds until `train.py` tells its launcher, us, of the first step."""
    with tempfile.TemporaryDirectory() as folder:
        heart = Path(folder, "heart")
        heart.touch()
        still = heart.stat().st_mtime_ns
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "train.py", *arguments, f"--run-dir={folder}/run"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            env={
                **os.environ,
                heartbeat.HEARTBEAT: str(heart),
                heartbeat.LAUNCHER: str(os.getpid()),
            },
        )
        while heart.stat().st_mtime_ns == still:
            if process.poll() is not None:
                raise SystemExit("error: train.py ended before its first step")
            time.sleep(0.005)
        elapsed = time.perf_counter() - start
        process.kill()
        process.wait()
    return elapsed


def reading() -> dict[str, float]:
    """Seconds for reading MNIST, without and with what was kept."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (
            float(_output(["-c", _LOAD], XDG_CACHE_HOME=folder))
            for _ in range(2)
        )
    return {"MNIST, decoded": first, "MNIST, kept": second}


def _output(arguments: list[str], **variables: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def one_round() -> dict[str, float]:
    found = {
        "nothing": until_end(["-c", "pass"]),
        "import keras_mnist_sum": until_end(["-c", "import keras_mnist_sum"]),
    }
    for command in commands():
        name = f"python {' '.join(command)} --help"
        found[name] = until_end([*command, "--help"])
    for preset in ("residual", "fast"):
        name = f"python train.py --preset {preset}, to the first step"
        found[name] = until_first_step(["--preset", preset, "--data", "tfds"])
    return {**found, **reading()}


def main() -> None:
    flags.take_none(__doc__)
    one_round()  # Reads the files from the disk, and compiles the modules.
    rounds = [one_round() for _ in range(ROUNDS)]
    seconds = {
        name: round(statistics.median(each[name] for each in rounds), 3)
        for name in rounds[0]
    }
    spread = {
        name: [round(f(each[name] for each in rounds), 3) for f in (min, max)]
        for name in rounds[0]
    }
    for name, value in seconds.items():
        print(f"{value:7.3f} s  {name}")
    print(f"medians of {ROUNDS}")

    from keras_mnist_sum.utils.quiet import import_tensorflow

    import_tensorflow()
    from keras_mnist_sum.utils import environment

    facts = environment.facts()
    report = {
        "command": "python -m benchmarks.startup",
        "n": ROUNDS,
        "seconds": seconds,
        "least_and_most": spread,
        "environment": facts,
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
