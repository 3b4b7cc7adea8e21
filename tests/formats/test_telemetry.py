"""No command tells anybody that it ran: libraries would, if they were let."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
FOLDERS = {"HOME": "home", "XDG_CACHE_HOME": "cache", "TMPDIR": "tmp"}
# What Keras and matplotlib keep for themselves, and what we do.
OTHERS = re.compile(
    r"home/\.keras/keras\.json|cache/matplotlib/.*|cache/keras_mnist_sum/.*"
)
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
TINY = "--backbone small --width 2 --batch-size 10 --epochs 1".split()
COMMANDS = {
    "predict": ["one.png", "--number", "3"],
    "demo": ["--port", "0"],
    "show-data": ["--data", "mnist.npz", "--batch-size", "10"],
    "train": ["--data", "mnist.npz", *TINY, "--run-dir", "run"],
    "evaluate": ["--data", "mnist.npz"],
    "export": ["--format", "onnx", "--out", "exported"],
    "launch": [
        *("--workers", "2", "--", str(ROOT / "train.py")),
        *("--data", "mnist.npz", *TINY, "--run-dir", "run"),
    ],
}


@pytest.fixture
def run(npz, tmp_path):
    """Runs a command in an empty folder, with an empty home.

    Returns what it left in the user's folders.
    """
    shutil.copy(npz, tmp_path / "mnist.npz")
    image = np.zeros((28, 28), "uint8")
    image[4:24, 13:15] = 255
    Image.fromarray(image).save(tmp_path / "one.png")
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TF", "ORT", "KERAS"))
    }
    for name, folder in FOLDERS.items():
        (tmp_path / folder).mkdir()
        env[name] = str(tmp_path / folder)
    env["PYTHONPATH"] = str(ROOT)

    def run(command, *before):
        arguments = [*before, sys.executable, "-m", "keras_mnist_sum", command]
        process = subprocess.Popen(
            [*arguments, *COMMANDS[command]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env=env,
            start_new_session=True,
        )
        with process:
            if command == "demo":
                said = process.stdout.readline()
                assert "http://" in said
                os.killpg(process.pid, signal.SIGINT)
            said, _ = process.communicate()
        assert process.returncode in (0, 130), said
        return [
            str(path.relative_to(tmp_path))
            for folder in FOLDERS.values()
            for path in sorted((tmp_path / folder).rglob("*"))
            if not path.is_dir()
        ]

    return run


def test_predict_leaves_nothing_with_the_user(run):
    assert run("predict") == []


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="takes strace")
@pytest.mark.parametrize("command", COMMANDS)
def test_looks_nobody_up_and_leaves_no_file(command, run, tmp_path):
    trace = tmp_path / "trace"
    calls = "trace=connect,sendto,openat"
    left = run(command, "strace", "-f", "-e", calls, "-o", str(trace))
    assert [name for name in left if not OTHERS.fullmatch(name)] == []
    made = trace.read_text(errors="replace")
    assert "libc.so" in made  # It saw something.
    assert "/etc/resolv.conf" not in made  # which each look-up reads
    addresses = re.findall(
        r'inet_addr\("(.*?)"|inet_pton\(AF_INET6, "(.*?)"', made
    )
    assert {x or y for x, y in addresses} <= LOOPBACK
