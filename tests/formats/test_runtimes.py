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
from keras_mnist_sum.formats import export
from keras_mnist_sum.formats import runtimes
from keras_mnist_sum.formats.contract import INPUT_SHAPES
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.task import outputs

ROOT = Path(__file__).parents[2]
LOADERS = {"onnx": runtimes.load_onnx, "litert": runtimes.load_litert}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A tiny model, and its files by format."""
    model = build_model(Config(backbone="small", width=2, average_shift=1))
    folder = tmp_path_factory.mktemp("exported")
    return model, {
        name: export.export(model, folder, name).path for name in LOADERS
    }


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


@pytest.mark.parametrize("format", LOADERS)
def test_threads_may_share_a_loaded_model(exported, format):
    model, paths = exported
    predict, _ = LOADERS[format](paths[format])
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


@pytest.mark.parametrize("format", LOADERS)
def test_answering_takes_no_tensorflow_and_keeps_the_screen_clean(
    exported, format
):
    program = (
        "import sys\n"
        "import numpy as np\n"
        "from keras_mnist_sum.formats import runtimes\n"
        "load = getattr(runtimes, sys.argv[1])\n"
        "predict, differences = load(sys.argv[2])\n"
        "image = np.zeros((1, 28, 28, 1), 'float32')\n"
        "number = np.eye(10, dtype='float32')[:1]\n"
        "answers = predict({'image': image, 'number': number})\n"
        "heavy = {'tensorflow', 'keras', 'onnx'} & set(sys.modules)\n"
        "print(sorted(answers), differences, heavy)\n"
    )
    result = run(program, LOADERS[format].__name__, exported[1][format])
    assert result.stderr == ""
    assert result.stdout == (
        "['difference', 'digit', 'sum'] ('absolute',) set()\n"
    )


@pytest.mark.parametrize("format", LOADERS)
@pytest.mark.parametrize(
    "change",
    [
        {"image": np.zeros((2, 28, 28, 1), "uint8")},
        {"image": np.zeros((2, 28, 28), "float32")},
        {"image": np.zeros((2, 30, 28, 1), "float32")},
        {"number": np.zeros((3, 10), "float32")},
        {"number": np.zeros((2, 11), "float32")},
        {"weight": np.zeros((2, 1), "float32")},
    ],
    ids=["type", "rank", "size", "count", "width", "extra"],
)
def test_arrays_that_are_no_inputs_are_refused(exported, format, change):
    predict, _ = LOADERS[format](exported[1][format])
    with pytest.raises(InputError, match="float32. Received:"):
        predict({**pairs(2), **change})


@pytest.mark.parametrize("format", LOADERS)
@pytest.mark.parametrize("damage", ["missing", "empty", "random", "cut"])
def test_damaged_file_is_refused(exported, format, damage, tmp_path):
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
        LOADERS[format](path)


def onnx_file(path, op="MatMul", domain="", external=False, image="image"):
    """A linear model that keeps the contract, unless it is told not to."""
    declared = {
        name: (None, output.num_classes) for name, output in outputs().items()
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


def test_foreign_onnx_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would look for weights
    Path("weights.bin").write_bytes(bytes(4 * 190))
    path = tmp_path / "model.onnx"
    onnx_file(path)
    assert runtimes.load_onnx(path)[1] == ("absolute",)
    for change, message in (
        ({"op": "Secret", "domain": "custom"}, "Cannot read this"),
        ({"external": True}, "another file"),
        ({"image": "picture"}, "must take image"),
    ):
        onnx_file(path, **change)
        with pytest.raises(InputError, match=message):
            runtimes.load_onnx(path)


@pytest.mark.parametrize(
    "format, package",
    [("onnx", "onnxruntime"), ("litert", "ai_edge_litert.interpreter")],
)
def test_missing_runtime_is_said(exported, format, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match="pip install.*Received:"):
        LOADERS[format](exported[1][format])


@pytest.mark.parametrize("format", LOADERS)
def test_any_file_is_read_or_refused(exported, format, tmp_path):
    """In a process of its own, which native code could bring down."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from keras_mnist_sum.formats import runtimes\n"
        "from keras_mnist_sum.errors import InputError\n"
        "load = getattr(runtimes, sys.argv[1])\n"
        "whole = Path(sys.argv[2]).read_bytes()\n"
        "path = Path(sys.argv[3])\n"
        "refused = 0\n"
        "for seed in range(300):\n"
        "    rng = np.random.default_rng(seed)\n"
        "    end = (64, 600, len(whole))[seed % 3]\n"
        "    content = bytearray(whole[: len(whole) - seed // 250])\n"
        "    for place in rng.integers(0, end, rng.integers(1, 6)):\n"
        "        content[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])\n"
        "    path.write_bytes(content)\n"
        "    try:\n"
        "        load(path)\n"
        "    except InputError:\n"
        "        refused += 1\n"
        "print(refused)\n"
    )
    result = run(
        program,
        LOADERS[format].__name__,
        exported[1][format],
        tmp_path / "damaged",
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == "" and 100 < int(result.stdout) < 300
