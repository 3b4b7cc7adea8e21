"""Models in other formats: as the Keras model, or not written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import evaluate
import keras_mnist_sum
from keras_mnist_sum import __main__
from keras_mnist_sum.config import HEADS
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import export as converting
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.formats import runtimes
from keras_mnist_sum.formats import saved_model
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.utils import atomic_files

ROOT = Path(__file__).parents[2]
TINY = dict(backbone="small", width=2)
LOADERS = {
    "litert": runtimes.load_litert,
    "onnx": runtimes.load_onnx,
}


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def pairs(digits, count):
    return {
        "image": digits[0][:count, ..., np.newaxis].astype("float32"),
        "number": np.eye(10, dtype="float32")[np.arange(count) % 10],
    }


@pytest.mark.parametrize(
    "head, format",
    [
        pytest.param(
            head,
            format,
            # The operations of each head in one format; `-m slow` has all.
            marks=[pytest.mark.slow] if (i + j) % 2 else [],
        )
        for i, head in enumerate(HEADS)
        for j, format in enumerate(LOADERS)
    ],
)
def test_every_head_answers_as_in_keras(head, format, digits, tmp_path):
    """Learned in bfloat16, with both differences and averaged answers."""
    config = Config(
        head=head,
        difference="signed" if head in ("exact", "argmax") else "absolute",
        average_shift=1,
        precision="bfloat16",
        **TINY,
    )
    learned = build_model(config)
    expected = build_model(Config(**{**vars(config), "precision": "float32"}))
    expected.set_weights(learned.get_weights())
    exported = converting.export(learned, tmp_path, format)
    assert exported.difference <= 1e-5 and exported.pairs == 1000
    predict, differences = LOADERS[format](exported.path)
    assert config.difference in differences
    for count in (1, 2, 7):
        arrays = pairs(digits, count)
        answers = predict(arrays)
        assert set(answers) == {"digit", "sum", "difference"}
        for name, array in expected.predict_on_batch(arrays).items():
            np.testing.assert_allclose(answers[name], array, atol=1e-5)


def litert_parts(path):
    """Operations by number, and the operators and tensors of a file."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    codes = [code.builtinCode for code in model.operatorCodes]
    return codes, model.subgraphs[0].operators, model.subgraphs[0].tensors


def test_litert_file_needs_no_operations_but_litert_s_own(tmp_path):
    path = converting.export(
        build_model(Config(average_shift=1, **TINY)), tmp_path, "litert"
    ).path
    codes, _, _ = litert_parts(path)
    assert schema.BuiltinOperator.CUSTOM not in codes
    assert schema.BuiltinOperator.CONV_2D in codes


def test_only_convolutions_are_quantised(digits, tmp_path, monkeypatch):
    """So images in 0-1 and in 0-255 still get the same answers."""
    monkeypatch.setattr(converting, "SMALLEST_AGREEMENT", 0)  # It is untrained.
    model = build_model(Config(average_shift=1, **TINY))
    path = converting.export(model, tmp_path, "litert", digits[0]).path
    assert path == tmp_path / "model_int8.tflite"
    codes, operators, tensors = litert_parts(path)
    quantised = set()
    for operator in operators:
        kind = codes[operator.opcodeIndex]
        if tensors[operator.inputs[0]].type == schema.TensorType.INT8:
            quantised.add(kind)
    assert quantised == {
        schema.BuiltinOperator.CONV_2D,
        schema.BuiltinOperator.MAX_POOL_2D,  # picks, and computes nothing
        schema.BuiltinOperator.DEQUANTIZE,
    }
    predict, _ = runtimes.load_litert(path)
    arrays = pairs(digits, 7)
    answers = predict(arrays)
    scaled = predict({**arrays, "image": arrays["image"] / 255})
    for name in answers:
        np.testing.assert_allclose(answers[name], scaled[name], atol=1e-5)


@pytest.mark.slow
def test_quantised_model_is_small_and_as_accurate(tmp_path):
    model = keras_mnist_sum.load_pretrained()
    mnist = load_mnist("sample")
    exported = converting.export(model, tmp_path, "litert", mnist.train_images)
    assert exported.agreement >= converting.SMALLEST_AGREEMENT
    assert exported.size < 400_000
    accuracy = {}
    for path in (None, exported.path):
        report = tmp_path / "report.json"
        arguments = ["--data", "sample", "--json", str(report)]
        assert evaluate.main([*([str(path)] if path else []), *arguments]) == 0
        accuracy[path] = json.loads(report.read_text())["accuracy"]
    for name, share in accuracy[None].items():
        assert abs(accuracy[exported.path][name] - share) <= 0.0005


@pytest.mark.parametrize(
    "format, writer",
    [
        ("saved_model", (saved_model, "export_saved_model")),
        ("litert", (converting, "_write_litert")),
        ("onnx", (converting, "_write_onnx")),
    ],
)
def test_export_that_answers_otherwise_leaves_no_file(
    format, writer, tmp_path, monkeypatch
):
    write = getattr(*writer)

    def write_another(model, path, **rest):
        weights = [0.9 * x for x in model.get_weights()]
        another = converting.in_float32(model)
        another.set_weights(weights)
        write(another, path, **rest)

    monkeypatch.setattr(*writer, write_another)
    model = build_model(Config(**TINY))
    with pytest.raises(InputError, match=r"off by 0\.\d+ with"):
        converting.export(model, tmp_path, format)
    left = [path.name for path in tmp_path.rglob("*")]
    assert left in ([], ["saved_model"])


def test_quantised_export_that_answers_otherwise_leaves_no_file(
    digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(converting, "SMALLEST_AGREEMENT", 1.01)
    with pytest.raises(InputError, match="% of the same answers"):
        converting.export(
            build_model(Config(**TINY)), tmp_path, "litert", digits[0]
        )
    assert not list(tmp_path.rglob("*"))


@pytest.mark.slow
def test_export_is_tried_in_batches_of_any_size_and_both_ranges(
    tmp_path, monkeypatch
):
    tried, load = [], runtimes.load_onnx

    def loaded(path):
        predict, differences = load(path)

        def noted(arrays):
            tried.append(arrays["image"])
            return predict(arrays)

        return noted, differences

    monkeypatch.setattr(runtimes, "load_onnx", loaded)
    converting.export(build_model(Config(**TINY)), tmp_path, "onnx")
    assert [len(images) for images in tried] == [1, 2, 7, 990]
    largest = np.concatenate(tried).max(axis=(1, 2, 3))
    assert (largest[::2] > 1).all() and (largest[1::2] <= 1).all()


def test_answers_that_are_no_numbers_are_no_agreement(tmp_path, monkeypatch):
    monkeypatch.setattr(
        runtimes,
        "load_onnx",
        lambda path: (
            lambda arrays: {
                name: np.full((len(arrays["image"]), size), np.nan)
                for name, size in (
                    ("digit", 10),
                    ("sum", 19),
                    ("difference", 10),
                )
            },
            ("absolute",),
        ),
    )
    with pytest.raises(InputError, match="off by nan"):
        converting.export(build_model(Config(**TINY)), tmp_path, "onnx")


def test_one_model_gives_one_onnx_file(tmp_path):
    model = build_model(Config(average_shift=1, **TINY))
    files = []
    for part in ("first", "second"):
        path = converting.export(model, tmp_path / part, "onnx").path
        files.append(path.read_bytes())
        build_model(Config(**TINY))  # moves Keras's numbers on
    assert files[0] == files[1]


def run(*command, **env):
    return subprocess.run(
        [sys.executable, "-m", "keras_mnist_sum", *map(str, command)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **env},
    )


@pytest.mark.slow
def test_export_says_what_it_wrote_and_it_can_be_evaluated(npz, tmp_path):
    model, target = build_model(Config(**TINY)), tmp_path / "a.keras"
    model.save(target)
    result = run("export", target, "--format", "onnx", "--out", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    written, checked = result.stdout.splitlines()
    path = tmp_path / "model.onnx"
    size = path.stat().st_size
    assert written == f"written  {path}, {size:,} bytes"
    assert f"against {target} on 1,000 pairs: off by " in checked
    converting.export(model, tmp_path, "litert")
    counts = []
    for name in ("a.keras", "model.onnx", "model.tflite"):
        report = tmp_path / "report.json"
        arguments = [tmp_path / name, "--data", npz, "--json", report]
        assert evaluate.main([str(argument) for argument in arguments]) == 0
        counts.append(json.loads(report.read_text()))
    assert counts[0]["pairs"] == 500
    assert all(each["correct"] == counts[0]["correct"] for each in counts)


def test_export_of_a_run_quantises_with_the_data_of_the_run(
    digits, tmp_path, monkeypatch, capsys
):
    """And a regression in a run directory knows its difference."""
    monkeypatch.setattr(converting, "SMALLEST_AGREEMENT", 0)
    npz, (images, labels) = tmp_path / "mnist.npz", digits
    np.savez(npz, x_train=images, y_train=labels, x_test=~images, y_test=labels)
    quantised, export = [], converting.export

    def noted(model, folder, format, calibration_images):
        quantised.append(calibration_images)
        return export(model, folder, format, calibration_images)

    monkeypatch.setattr(converting, "export", noted)
    config = Config(
        data=str(npz), head="regression", difference="signed", **TINY
    )
    atomic_files.write_text(tmp_path / run_directory.CONFIG, config.to_json())
    build_model(config).save(tmp_path / run_directory.MODEL)
    run_dir = str(tmp_path)
    arguments = ["export", run_dir, "--format", "litert", "--out", run_dir]
    assert __main__.main([*arguments, "--quantize"]) == 0
    assert str(npz) in capsys.readouterr().out.splitlines()[0]
    [chosen] = quantised
    np.testing.assert_array_equal(chosen, images)
    assert evaluate.main([str(tmp_path / run_directory.LITERT_INT8)]) == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--format", "onnx", "--quantize"], "litert to be quantised"),
        (["--format", "onnx", "--out", "taken"], "not overwritten"),
        (["--format", "pickle"], "'pickle'"),
        (["--format", "onnx", "--data", "sample"], "'sample' without"),
        (["taken/model.onnx", "--format", "litert"], "takes a Keras model"),
        (["nowhere", "--format", "litert"], "which does not exist"),
        (["--format", "litert", "--out", "taken/model.onnx"], "Cannot write"),
    ],
)
def test_wrong_export_is_one_line_and_writes_nothing(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    atomic_files.write_text(Path("taken", run_directory.ONNX), "precious")
    before = sorted(tmp_path.rglob("*"))
    if "--out" not in arguments:
        arguments = [*arguments, "--out", "new"]
    try:
        code = __main__.main(["export", *arguments])
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr().err
    assert code == 2 and said.startswith("error: ") and message in said
    assert said.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert Path("taken", run_directory.ONNX).read_text() == "precious"
