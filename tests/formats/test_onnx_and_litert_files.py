"""ONNX and LiteRT files, called without TensorFlow."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx.external_data_helper
import onnx.numpy_helper
import pytest
from onnx import helper

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.open import FORMATS
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.task import INPUT_SHAPES
from keras_mnist_sum.task import Task

ROOT = Path(__file__).parents[2]
RUNTIMES = ("onnx", "litert")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A tiny model, and its files by format."""
    model = build_model(Config(backbone="small", width=2, test_time_shift=1))
    folder = tmp_path_factory.mktemp("exported")
    return model, {name: export(model, folder, name).path for name in RUNTIMES}


def pairs(count):
    rng = np.random.default_rng(count)
    return {
        "image": rng.random((count, 28, 28, 1), "float32"),
        "number": np.eye(10, dtype="float32")[rng.integers(0, 10, count)],
    }


def run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("format", RUNTIMES)
def test_threads_may_share_a_model(exported, format):
    model, paths = exported
    predict = open_model(paths[format]).predict
    asked = [pairs(count) for count in (1, 2, 7) * 20]
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = list(pool.map(predict, asked))
    for arrays, found in list(zip(asked, answers))[:6]:
        expected = model.predict_on_batch(arrays)
        assert set(found) == set(expected)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, atol=1e-5)
    for i, found in enumerate(answers):
        for name, array in answers[i % 3].items():
            assert len(found[name]) == (1, 2, 7)[i % 3] == len(array)


@pytest.mark.parametrize("format", RUNTIMES)
def test_predicts_without_tensorflow_and_prints_nothing(exported, format):
    program = (
        "import sys\n"
        "import numpy as np\n"
        "from keras_mnist_sum.formats.open import open_model\n"
        "opened = open_model(sys.argv[1])\n"
        "image = np.zeros((1, 28, 28, 1), 'float32')\n"
        "number = np.eye(10, dtype='float32')[:1]\n"
        "answers = opened.predict({'image': image, 'number': number})\n"
        "heavy = {'tensorflow', 'keras', 'onnx'} & set(sys.modules)\n"
        "print(sorted(answers), opened.task, heavy)\n"
    )
    result = run(program, exported[1][format])
    assert result.stderr == ""
    assert result.stdout == (
        "['difference', 'digit', 'sum'] Task(digit, sum, difference) set()\n"
    )


@pytest.mark.parametrize("format", RUNTIMES)
@pytest.mark.parametrize(
    "change",
    [
        {"image": np.zeros((2, 28, 28, 1), "uint8")},
        {"image": np.zeros((2, 28, 28), "float32")},
        {"image": np.zeros((2, 30, 28, 1), "float32")},
        {"number": np.zeros((3, 10), "float32")},
        {"number": np.zeros((2, 11), "float32")},
        {"weight": np.zeros((2, 1), "float32")},
        {"number": np.zeros((2, 1), "float32")},
        {"image": np.full((2, 28, 28, 1), np.nan, "float32")},
    ],
    ids=["type", "rank", "size", "count", "width", "extra", "column", "nan"],
)
def test_rejects_arrays_that_are_not_its_inputs(exported, format, change):
    predict = open_model(exported[1][format]).predict
    with pytest.raises(InputError, match="Received:"):
        predict({**pairs(2), **change})


@pytest.mark.parametrize("format", RUNTIMES)
@pytest.mark.parametrize("damage", ["missing", "empty", "random", "cut"])
def test_rejects_a_damaged_file(exported, format, damage, tmp_path):
    path = tmp_path / exported[1][format].name
    whole = exported[1][format].read_bytes()
    content = {
        "empty": b"",
        "random": np.random.default_rng(0).bytes(5000),
        "cut": whole[: len(whole) // 2],
    }
    if damage in content:
        path.write_bytes(content[damage])
    with pytest.raises(InputError, match="Cannot read this.*Received:"):
        FORMATS[format].load().open_file(path)


def onnx_file(path, op="MatMul", domain="", external=False, image="image"):
    """A linear model that keeps the contract, unless it is told not to."""
    declared = {
        name: (None, output.num_classes)
        for name, output in Task.named().items()
    }
    tensors, nodes = [], []
    for name, (_, size) in declared.items():
        tensor = onnx.numpy_helper.from_array(
            np.full((10, size), 0.1, "float32"), f"w_{name}"
        )
        if external:
            onnx.external_data_helper.set_external_data(tensor, "weights.bin")
            tensor.ClearField("raw_data")
        tensors.append(tensor)
        nodes.append(
            helper.make_node(op, ["number", f"w_{name}"], [name], domain=domain)
        )
    ends = [
        [
            helper.make_tensor_value_info(name, 1, shape)
            for name, shape in side.items()
        ]
        for side in (
            {name: (None, *x) for name, x in INPUT_SHAPES.items()},
            declared,
        )
    ]
    ends[0][0].name = image
    graph = helper.make_graph(nodes, "linear", *ends, tensors)
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("custom", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())


def test_rejects_onnx_files_of_other_kinds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would look for weights
    Path("weights.bin").write_bytes(bytes(4 * 190))
    path = tmp_path / "model.onnx"
    onnx_file(path)
    assert open_model(path).task == Task.named()
    for change, message in (
        ({"op": "Secret", "domain": "custom"}, "Cannot read this"),
        ({"external": True}, "Cannot read this"),
        ({"image": "picture"}, "must take image"),
    ):
        onnx_file(path, **change)
        with pytest.raises(InputError, match=message):
            open_model(path)


@pytest.mark.parametrize(
    "format, package",
    [("onnx", "onnxruntime"), ("litert", "ai_edge_litert.interpreter")],
)
def test_names_a_missing_runtime(exported, format, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match="pip install.*Received:"):
        open_model(exported[1][format])


@pytest.mark.parametrize("format", RUNTIMES)
def test_opens_or_rejects_any_file(exported, format, tmp_path):
    """In a process of its own, which native code could bring down."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from keras_mnist_sum.formats.open import open_model\n"
        "from keras_mnist_sum.errors import InputError\n"
        "whole = Path(sys.argv[1]).read_bytes()\n"
        "path = Path(sys.argv[2])\n"
        "refused = 0\n"
        "for seed in range(300):\n"
        "    rng = np.random.default_rng(seed)\n"
        "    end = (64, 600, len(whole))[seed % 3]\n"
        "    content = bytearray(whole[: len(whole) - seed // 250])\n"
        "    for place in rng.integers(0, end, rng.integers(1, 6)):\n"
        "        content[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])\n"
        "    path.write_bytes(content)\n"
        "    try:\n"
        "        open_model(path)\n"
        "    except InputError:\n"
        "        refused += 1\n"
        "print(refused)\n"
    )
    whole = exported[1][format]
    result = run(program, whole, tmp_path / f"damaged{whole.suffix}")
    assert result.returncode == 0, result.stderr
    assert result.stderr == "" and 100 < int(result.stdout) < 300
