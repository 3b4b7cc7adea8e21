"""Ray Train starts workers that train together, and starts them again."""

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.run_directory import Run

ROOT = Path(__file__).parents[2]
if not importlib.util.find_spec("ray"):
    pytest.skip("no Ray: requirements-examples.txt", allow_module_level=True)


@contextlib.contextmanager
def example(run_dir, npz):
    """The example as a process, and the file of what it prints."""
    flags = f"""--data {npz} --preset fast --steps 30 --batch-size 8
        --validation-fraction 0 --checkpoint-every 3 --verbose 2"""
    program = [sys.executable, "-m", "examples.ray_train"]
    log = Path(f"{run_dir}.log")
    with open(log, "w") as file:
        process = subprocess.Popen(
            [*program, run_dir, *flags.split()],
            cwd=ROOT,
            stdout=file,
            stderr=file,
        )
        try:
            yield process, log
        finally:
            process.terminate()
            process.wait()


@pytest.mark.slow
def test_killed_worker_of_ray_is_started_again_to_the_same_bits(npz, tmp_path):
    weights = []
    for name in ("whole", "killed"):
        run = Run(tmp_path / name)
        with example(run.path, npz) as (process, log):
            while name == "killed" and not any(run.checkpoints.glob("*")):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            if name == "killed":
                pids = re.findall(r"RayTrainWorker pid=(\d+)", log.read_text())
                os.kill(int(pids[-1]), signal.SIGKILL)
            assert process.wait(1500) == 0, log.read_text()
        pids = re.findall(r"RayTrainWorker pid=(\d+)", log.read_text())
        assert (len(set(pids)) > 2) == (name == "killed")
        facts = json.loads(run.environment.read_text())
        assert facts["replicas"] == 2
        arrays = load_model(run.model).get_weights()
        weights.append(np.concatenate([x.ravel() for x in arrays]))
    np.testing.assert_array_equal(*weights)
