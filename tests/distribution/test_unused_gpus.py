"""A GPU that is there and not used is told, with TensorFlow's reason."""

import os
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

from keras_mnist_sum.distribution import unused_gpus
from keras_mnist_sum.distribution.devices import find_devices
from keras_mnist_sum.distribution.unused_gpus import explain

MISSES = (
    "W0000 00:00:1.2 3 dso_loader.cc:144] Could not load dynamic library '{}'; "
    "dlerror: no such file\n"
)
NO_DEVICE = (
    "E0000 00:00:1.2 3 cuda_platform.cc:52] failed call to cuInit: 100\n"
)
ABSENT = "libno.so.1"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes a machine's `/dev`, and what TensorFlow says when it looks."""

    def make(*devices, says=""):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: True)
        (tmp_path / "dev").mkdir()
        for name in devices:
            (tmp_path / "dev" / name).touch()
        (tmp_path / "words").write_text(says)
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\ncat {tmp_path}/words >&2\n")
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))
        return str(tmp_path)

    return make


@pytest.mark.parametrize(
    "says, why, remedy",
    [
        (
            MISSES.format("libcudnn.so.9") + MISSES.format("libcudart.so.12"),
            "cannot load libcudnn.so.9, libcudart.so.12",
            "pip install -r requirements-gpu.txt",
        ),
        (
            NO_DEVICE + MISSES.format("libcudnn.so.9") * 2,
            "cannot load libcudnn.so.9. ",
            "pip install -r requirements-gpu.txt",
        ),
        (MISSES.format("libcuda.so.1"), "load libcuda.so.1", "See nvidia-smi"),
        (NO_DEVICE, "failed call to cuInit: 100", "See nvidia-smi"),
        ("", "does not say why", "See nvidia-smi"),
    ],
)
def test_says_why_a_gpu_is_not_used_and_what_to_do(machine, says, why, remedy):
    root = machine("nvidia0", "nvidia1", "nvidiactl", says=says)
    line = explain(root, ABSENT)
    assert line.startswith("this machine has 2 NVIDIA GPUs")
    assert why in line and remedy in line
    assert "\n" not in line and "device file" not in line


def test_driver_without_a_device_file_is_told(machine):
    """As in a container that was started without its GPUs."""
    line = explain(machine(says=NO_DEVICE), "libc.so.6")
    assert line.startswith("this machine has NVIDIA's driver")
    assert "no device file /dev/nvidia0" in line and "--gpus all" in line


def test_build_without_cuda_is_told(machine, monkeypatch):
    root = machine("nvidia0", says=NO_DEVICE)
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: False)
    assert "built without CUDA. Try: pip install" in explain(root, ABSENT)


def test_python_that_cannot_start_is_no_reason_to_fail(machine, monkeypatch):
    root = machine("nvidia0")
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert "FileNotFoundError when it looked again" in explain(root, ABSENT)


@pytest.mark.parametrize("hidden", ["", "-1", " ", "none", "NoDevFiles"])
def test_wish_for_no_gpu_is_granted_silently(machine, monkeypatch, hidden):
    root = machine("nvidia0", says=NO_DEVICE)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert explain(root, "libc.so.6") == ""


@pytest.mark.parametrize("visible", ["7", "0,1", "GPU-1b2c", "MIG-3d4e"])
def test_line_names_the_gpus_that_were_wished_for(
    machine, monkeypatch, visible
):
    root = machine("nvidia0", says=NO_DEVICE)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert f"CUDA_VISIBLE_DEVICES='{visible}'" in explain(root, ABSENT)


@pytest.mark.parametrize("devices", [[], ["nvidiactl"], ["dxg"], ["dri"]])
def test_machine_without_an_nvidia_gpu_is_silent(machine, devices):
    assert explain(machine(*devices, says=NO_DEVICE), ABSENT) == ""


def test_training_begins_with_the_line(monkeypatch, caplog):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(unused_gpus, "explain", lambda: "it is not used")
    find_devices("single")
    assert [(x.levelname, x.message) for x in caplog.records] == [
        ("WARNING", "it is not used")
    ]


DRIVER = """
int cuInit(int flags) { return RESULT; }
int cuDeviceGetCount(int *n) { *n = 1; return 0; }
int cuDeviceGet(int *device, int i) { *device = 0; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = 8; return 0; }
int cuDeviceTotalMem_v2(long *n, int d) { *n = 1L << 33; return 0; }
int cuDeviceGetName(char *name, int n, int d) { *name = 0; return 0; }
int cuDriverGetVersion(int *version) { *version = 12080; return 0; }
int cuGetErrorName(int e, const char **text) { *text = "WRONG"; return 0; }
int cuGetErrorString(int e, const char **text) { *text = "wrong"; return 0; }
int nvmlInit_v2(void) { return 0; }
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
@pytest.mark.parametrize(
    "result, why",
    [(0, "it cannot load libcudnn.so.9, libcudart.so.12"), (100, "WRONG")],
)
def test_real_tensorflow_says_what_it_lacks(tmp_path, result, why):
    """A made-up driver: its library works, or finds nothing."""
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        subprocess.run(
            ["cc", "-xc", "-", "-w", "-shared", "-fPIC", "-o", tmp_path / name],
            input=DRIVER.replace("RESULT", str(result)),
            text=True,
            check=True,
        )
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    flags = "--preset fast --data sample --steps 2 --run-dir run --verbose 0"
    trained = subprocess.run(
        [sys.executable, f"{os.getcwd()}/train.py", *flags.split()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    [line] = trained.stderr.splitlines()
    assert line.startswith("WARNING: this machine has NVIDIA's driver")
    assert why in line
    assert trained.returncode == 0
