"""What is imported when: nothing before it is needed."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_mnist_sum
from benchmarks.speed import startup
from keras_mnist_sum import __main__
from keras_mnist_sum.commands import cli
from keras_mnist_sum.commands import train
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import fast_imports

ROOT = Path(__file__).parent.parent
_HELP = """
import runpy, sys
before = set(sys.modules)
sys.argv = [*sys.argv[1:], "--help"]
try:
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as stop:
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    sys.exit(f"{stop.code} {sorted(new - sys.stdlib_module_names)}")
"""
_IMPORT = """
import sys
before = set(sys.modules)
import keras_mnist_sum
keras_mnist_sum.InputError
dir(keras_mnist_sum)
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(new - sys.stdlib_module_names))
"""
_TRAINING = """
import sys
from keras_mnist_sum import train
print({name.partition(".")[0] for name in sys.modules} & {
    "tensorflow_datasets", "mlxtend", "onnxruntime", "onnx", "tf2onnx",
    "ai_edge_litert", "tensorflow_serving", "grpc"})
"""
# `train.py` until it opens its directory for the second time, in `train`.
_COMMAND = """
import gc, runpy, sys
from keras_mnist_sum.formats.run_directory import Run
opened = Run.open
def again(path, config):
    print(gc.isenabled(), "tensorflow" in sys.modules, [
        name for name in ("pandas", "sklearn", "IPython", "matplotlib.pyplot",
                          "matplotlib.figure") if name in sys.modules])
    import keras, matplotlib.pyplot, pandas
    print(keras.layers.Dense(1)(pandas.DataFrame({"x": [1.0]})).shape)
    raise SystemExit
def first(path, config):
    Run.open = again
    return opened(path, config)
Run.open = first
sys.argv = ["train.py", "--verbose", "0", "--run-dir", sys.argv[1]]
runpy.run_path("train.py", run_name="__main__")
"""
# As far as one system can be made to look like another: what Windows lacks is
# hidden once what others need of it is imported.
_OTHER_SYSTEM = """
import asyncio, importlib, multiprocessing, os, pkgutil, signal, socket
import subprocess, sys
import matplotlib.figure, numpy, onnxruntime, PIL.Image
for name in "starlette.applications", "uvicorn":
    try:
        importlib.import_module(name)
    except ImportError:
        pass
for name in "fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty":
    sys.modules[name] = None
for module, names in {
    os: "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK fchmod fchown fork geteuid"
        " getloadavg getpgid getuid killpg memfd_create mkfifo register_at_fork"
        " sched_getaffinity setsid statvfs unshare",
    signal: "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGUSR1"
            " pthread_sigmask setitimer",
    socket: "AF_UNIX",
}.items():
    for name in names.split():
        vars(module).pop(name, None)
slow = ["tensorflow", "keras", "h5py"]
sys.modules |= dict.fromkeys(slow)
import keras_mnist_sum
from keras_mnist_sum import __main__
path, imported = keras_mnist_sum.__path__, set()
for found in pkgutil.walk_packages(path, "keras_mnist_sum."):
    try:
        importlib.import_module(found.name)
        imported.add(found.name.removeprefix("keras_mnist_sum."))
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] not in slow:
            raise
assert imported >= {
    "data.sources", "demo.server", "distribution.launcher", "formats.open",
    "reporting.answer_plot", "utils.atomic_files",
    *(f"commands.{name.replace('-', '_')}" for name in __main__.COMMANDS),
}, imported
sys.exit(__main__.main(sys.argv[1:]))
"""


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            # As a user's: without what the import of TensorFlow has set here.
            **{k: v for k, v in os.environ.items() if not k.startswith("TF_")},
            "PYTHONPATH": str(ROOT),
        },
    )


def test_help_of_every_command_imports_only_python_and_the_package():
    commands = startup.commands()
    for one in (["train.py"], ["evaluate.py"], ["-m", "keras_mnist_sum"]):
        assert one in commands
    for name in __main__.COMMANDS:
        assert ["-m", "keras_mnist_sum", name] in commands
    for command in commands:
        result = python("-c", _HELP, *command)
        assert "usage: " in result.stdout
        assert result.stderr.strip() == "0 ['keras_mnist_sum']", command


def test_version_imports_only_python_and_the_package():
    program = _HELP.replace("--help", "--version")
    result = python("-c", program, "-m", "keras_mnist_sum")
    assert result.stdout == f"keras_mnist_sum {keras_mnist_sum.__version__}\n"
    assert result.stderr.strip() == "0 ['keras_mnist_sum']"


def test_importing_the_package_imports_only_python_and_the_package():
    result = python("-c", _IMPORT)
    assert result.stdout.strip() == "['keras_mnist_sum']", result.stderr


def test_config_and_task_import_only_python_and_the_package():
    program = _IMPORT.replace("InputError", "Config, keras_mnist_sum.Task")
    result = python("-c", program)
    assert result.stdout.strip() == "['keras_mnist_sum']", result.stderr


def test_public_names_are_shown_and_are_what_they_say():
    assert set(keras_mnist_sum.__all__) <= set(dir(keras_mnist_sum))
    # Of modules with the same names a public name is the function.
    importlib.import_module("keras_mnist_sum.evaluation.evaluate")
    importlib.import_module("keras_mnist_sum.training.train")
    for name in set(keras_mnist_sum.__all__) - {"presets"}:
        found = getattr(keras_mnist_sum, name)
        assert callable(found) and found.__name__ == name
        assert found.__doc__
    assert keras_mnist_sum.presets.DEFAULT in keras_mnist_sum.presets.PRESETS
    with pytest.raises(AttributeError, match="has no attribute 'tain'"):
        _ = keras_mnist_sum.tain


def test_training_imports_nothing_that_it_does_not_need():
    """And says nothing. Reading a source, or exporting, brings its own."""
    result = python("-c", _TRAINING)
    assert (result.stdout, result.stderr) == ("set()\n", "")


@pytest.mark.slow
def test_a_command_starts_without_what_only_users_of_keras_need(tmp_path):
    """And can import it afterwards."""
    result = python("-c", _COMMAND, tmp_path / "run")
    assert result.stdout == "True True []\n(1, 1)\n", result.stderr


@pytest.mark.parametrize(
    "main", [__main__.main, lambda x=None: cli.main(train, "train.py", x)]
)
def test_only_a_process_of_its_own_is_taken_for_a_command(main, monkeypatch):
    """A program that calls `main` may need what Keras takes along."""
    monkeypatch.setattr(fast_imports, "is_command", False)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert not fast_imports.is_command
    monkeypatch.setattr(sys, "argv", ["program", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert fast_imports.is_command


def test_mnist_is_read_while_tensorflow_is_imported(monkeypatch, tmp_path):
    done = []

    def read(data, data_dir):
        done.append((data, data_dir))

    def import_tensorflow(what):
        done.append("TensorFlow")
        raise InputError("enough")

    monkeypatch.setattr("keras_mnist_sum.data.sources.look_up_ahead", read)
    monkeypatch.setattr(
        "keras_mnist_sum.utils.quiet.import_tensorflow", import_tensorflow
    )
    flags = ["--data", "tfds", "--data-dir", "here", "--run-dir"]
    assert __main__.main(["train", *flags, str(tmp_path / "run")]) == 2
    assert done == [("tfds", "here"), "TensorFlow"]


def test_other_systems_need_no_module_that_they_lack(tmp_path):
    """To import what needs no TensorFlow, and to read a picture."""
    picture = np.zeros((60, 60), "uint8")
    picture[10:50, 28:33] = 255
    Image.fromarray(picture).save(tmp_path / "one.png")
    arguments = ["predict", tmp_path / "one.png", "--number", "3"]
    result = python("-c", _OTHER_SYSTEM, *arguments, "--show", tmp_path / "new")
    assert result.returncode == 0, result.stderr
    assert "1 + 3 = 4" in result.stdout
    assert (tmp_path / "new" / "one.png").is_file()
