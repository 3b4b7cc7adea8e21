"""Models in other formats: as the Keras model, or not written."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import evaluate
import keras_mnist_sum
from keras_mnist_sum import __main__
from keras_mnist_sum.config import HEADS
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import export as exporting
from keras_mnist_sum.formats import litert_file
from keras_mnist_sum.formats import onnx_file
from keras_mnist_sum.formats import saved_model
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.models import backbones
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.utils import atomic_files

ROOT = Path(__file__).parents[2]
TINY = dict(backbone="small", width=2)
MODULES = {
    "saved_model": saved_model,
    "litert": litert_file,
    "onnx": onnx_file,
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
        for j, format in enumerate(("litert", "onnx"))
    ],
)
def test_every_head_predicts_as_in_keras(head, format, digits, tmp_path):
    """Learned in bfloat16, with both differences and averaged answers."""
    config = Config(
        head=head,
        difference="signed" if head in ("exact", "argmax") else "absolute",
        test_time_shift=1,
        precision="bfloat16",
        **TINY,
    )
    learned = build_model(config)
    expected = build_model(Config(**{**vars(config), "precision": "float32"}))
    expected.set_weights(learned.get_weights())
    exported = export(learned, tmp_path, format)
    assert exported.difference <= 1e-5 and exported.pairs == 1000
    opened = open_model(exported.path)
    assert opened.task == config.task
    for count in (1, 2, 7):
        arrays = pairs(digits, count)
        answers = opened.predict(arrays)
        assert set(answers) == {"digit", "sum", "difference"}
        for name, array in expected.predict_on_batch(arrays).items():
            np.testing.assert_allclose(answers[name], array, atol=1e-5)


def litert_parts(path):
    """Operations by number, and the operators and tensors of a file."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    codes = [code.builtinCode for code in model.operatorCodes]
    return codes, model.subgraphs[0].operators, model.subgraphs[0].tensors


def test_litert_file_needs_no_operations_but_litert_s_own(tmp_path):
    path = export(
        build_model(Config(test_time_shift=1, **TINY)), tmp_path, "litert"
    ).path
    codes, _, _ = litert_parts(path)
    assert schema.BuiltinOperator.CUSTOM not in codes
    assert schema.BuiltinOperator.CONV_2D in codes


def test_only_convolutions_are_quantized(digits, tmp_path, monkeypatch):
    """So images in 0-1 and in 0-255 still get the same answers."""
    monkeypatch.setattr(exporting, "SMALLEST_AGREEMENT", 0)  # It is untrained.
    model = build_model(Config(test_time_shift=1, **TINY))
    path = export(model, tmp_path, "litert", digits[0]).path
    assert path == tmp_path / "model_int8.tflite"
    codes, operators, tensors = litert_parts(path)
    quantized = set()
    for operator in operators:
        kind = codes[operator.opcodeIndex]
        if tensors[operator.inputs[0]].type == schema.TensorType.INT8:
            quantized.add(kind)
    assert quantized == {
        schema.BuiltinOperator.CONV_2D,
        schema.BuiltinOperator.MAX_POOL_2D,  # picks, and computes nothing
        schema.BuiltinOperator.DEQUANTIZE,
    }
    predict = open_model(path).predict
    arrays = pairs(digits, 7)
    answers = predict(arrays)
    scaled = predict({**arrays, "image": arrays["image"] / 255})
    for name in answers:
        np.testing.assert_allclose(answers[name], scaled[name], atol=1e-5)


def test_all_of_it_takes_bytes_and_gives_bytes(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "SMALLEST_AGREEMENT", 0)  # It is untrained.
    model = build_model(Config(**TINY))
    path = export(model, tmp_path, "litert", digits[0], quantize="all").path
    assert path == tmp_path / "model_uint8.tflite"
    _, _, tensors = litert_parts(path)
    assert {x.name: (x.type, list(x.shape)) for x in tensors}.items() >= {
        b"image": (schema.TensorType.UINT8, [1, 28, 28, 1]),
        b"number": (schema.TensorType.UINT8, [1, 10]),
        b"digit": (schema.TensorType.UINT8, [1, 10]),
        b"sum": (schema.TensorType.UINT8, [1, 19]),
        b"difference": (schema.TensorType.UINT8, [1, 10]),
    }.items()
    assert schema.TensorType.FLOAT32 not in {x.type for x in tensors}
    arrays = pairs(digits, 7)
    answers = open_model(path).predict(arrays)
    scaled = {**arrays, "image": arrays["image"] / 255}
    for name, array in open_model(path).predict(scaled).items():
        np.testing.assert_array_equal(answers[name], array)
        expected = model.predict_on_batch(arrays)[name]
        np.testing.assert_allclose(array, expected, atol=0.05)


@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_file_of_one_batch_size_opens_for_any(format, digits, tmp_path):
    model = build_model(Config(test_time_shift=1, **TINY))
    path = export(model, tmp_path, format, batch=3).path
    assert path.stem == "model_batch3"
    opened = open_model(path)
    for count in (1, 3, 7):
        arrays = pairs(digits, count)
        answers = opened.predict(arrays)
        for name, array in model.predict_on_batch(arrays).items():
            np.testing.assert_allclose(answers[name], array, atol=1e-5)


def test_litert_tensors_have_the_models_names_in_its_order(tmp_path):
    """Runtimes that know no signatures go by these."""
    model = build_model(Config(outputs=("sum", "digit", "difference"), **TINY))
    path = export(model, tmp_path, "litert").path
    interpreter = Interpreter(model_path=str(path))
    inputs, outputs = (
        [x["name"] for x in side]
        for side in (
            interpreter.get_input_details(),
            interpreter.get_output_details(),
        )
    )
    assert inputs == ["image", "number"]
    assert outputs == list(model.output)


@pytest.mark.slow
def test_quantized_model_is_small_and_as_accurate(tmp_path):
    model = keras_mnist_sum.load_pretrained()
    mnist = load_mnist("sample")
    exported = export(model, tmp_path, "litert", mnist.train_images)
    assert exported.agreement >= exporting.SMALLEST_AGREEMENT
    assert exported.size < 400_000
    accuracy = {}
    for path in (None, exported.path):
        report = tmp_path / "report.json"
        arguments = ["--data", "sample", "--json", str(report)]
        assert evaluate.main([*([str(path)] if path else []), *arguments]) == 0
        accuracy[path] = json.loads(report.read_text())["accuracy"]
    for name, share in accuracy[None].items():
        assert abs(accuracy[exported.path][name] - share) <= 0.0005


@pytest.mark.parametrize("format", MODULES)
def test_leaves_no_file_whose_answers_differ(format, tmp_path, monkeypatch):
    write = MODULES[format].write

    def write_another(model, path):
        another = copy_model(model)
        another.set_weights([0.9 * x for x in model.get_weights()])
        write(another, path)

    monkeypatch.setattr(MODULES[format], "write", write_another)
    model = build_model(Config(**TINY))
    with pytest.raises(InputError, match=r"off by 0\.\d+ with"):
        export(model, tmp_path, format)
    left = [path.name for path in tmp_path.rglob("*")]
    assert left in ([], ["saved_model"])


def test_leaves_no_quantized_file_whose_answers_differ(
    digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(exporting, "SMALLEST_AGREEMENT", 1.01)
    with pytest.raises(InputError, match="% of the same answers"):
        export(build_model(Config(**TINY)), tmp_path, "litert", digits[0])
    assert not list(tmp_path.rglob("*"))


def spy_on(monkeypatch, predict_instead):
    """Has an opened ONNX file predict by `predict_instead(predict, arrays)`."""
    open_file = onnx_file.open_file

    def opened(path, task=None):
        model = open_file(path, task)
        return dataclasses.replace(
            model,
            predict=lambda arrays: predict_instead(model.predict, arrays),
        )

    monkeypatch.setattr(onnx_file, "open_file", opened)


@pytest.mark.slow
def test_compares_batches_of_any_size_and_both_ranges(tmp_path, monkeypatch):
    tried = []

    def noted(predict, arrays):
        tried.append(arrays["image"])
        return predict(arrays)

    spy_on(monkeypatch, noted)
    export(build_model(Config(**TINY)), tmp_path, "onnx")
    assert [len(images) for images in tried] == [1, 2, 7, 990]
    largest = np.concatenate(tried).max(axis=(1, 2, 3))
    assert (largest[::2] > 1).all() and (largest[1::2] <= 1).all()


def test_nan_is_no_agreement(tmp_path, monkeypatch):
    def nothing(predict, arrays):
        return {name: x * np.nan for name, x in predict(arrays).items()}

    spy_on(monkeypatch, nothing)
    with pytest.raises(InputError, match="off by nan"):
        export(build_model(Config(**TINY)), tmp_path, "onnx")


def test_tells_the_converters_own_reason(tmp_path, monkeypatch):
    """A backbone may hold what a runtime cannot compute."""
    monkeypatch.setitem(
        backbones.BACKBONES,
        "residual",
        lambda image, width: keras.layers.Dense(10, activation="gelu")(
            keras.layers.Flatten()(image)
        ),
    )
    with pytest.raises(InputError, match=r"format='onnx' \(.*Erf.*\)"):
        export(build_model(), tmp_path, "onnx")
    assert not list(tmp_path.rglob("*"))


def test_one_model_gives_one_onnx_file(tmp_path):
    model = build_model(Config(test_time_shift=1, **TINY))
    files = []
    for part in ("first", "second"):
        path = export(model, tmp_path / part, "onnx").path
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
    _, written, checked = result.stdout.splitlines()
    path = tmp_path / "model.onnx"
    size = path.stat().st_size
    assert written == f"written  {path}, {size:,} bytes"
    assert f"against {target} on 1,000 pairs: off by " in checked
    export(model, tmp_path, "litert")
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
    monkeypatch.setattr(exporting, "SMALLEST_AGREEMENT", 0)
    npz, (images, labels) = tmp_path / "mnist.npz", digits
    np.savez(npz, x_train=images, y_train=labels, x_test=~images, y_test=labels)
    quantized, export = [], exporting.export

    def noted(model, folder, format, calibration_images, *others):
        quantized.append(calibration_images)
        return export(model, folder, format, calibration_images, *others)

    monkeypatch.setattr(exporting, "export", noted)
    config = Config(
        data=str(npz), head="regression", difference="signed", **TINY
    )
    atomic_files.write_text(tmp_path / "config.json", config.to_json())
    build_model(config).save(tmp_path / "model.keras")
    run_dir = str(tmp_path)
    arguments = ["export", run_dir, "--format", "litert", "--out", run_dir]
    assert __main__.main([*arguments, "--quantize"]) == 0
    assert str(npz) in capsys.readouterr().out.splitlines()[1]
    [chosen] = quantized
    np.testing.assert_array_equal(chosen, images)
    assert evaluate.main([str(tmp_path / "model_int8.tflite")]) == 0


@pytest.mark.slow
def test_takes_a_run_or_a_file_for_a_model(tmp_path):
    config = Config(**TINY)
    path = export(build_model(config), tmp_path, "keras").path
    (tmp_path / "config.json").write_text(config.to_json())
    for i, model in enumerate((tmp_path, str(path), open_model(path))):
        again = export(model, tmp_path / f"{i}", "keras").path
        assert open_model(again).info == open_model(path).info


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((None, "new", "onnx"), "A model is a run directory"),
        ((keras.Sequential(), "new", "onnx"), "must take image"),
        ((Config(), "new", "onnx"), "A model is a run directory"),
        (("MODEL", "new", "ONNX"), "must be one of keras"),
        (("MODEL", "new", ["onnx"]), "must be one of keras"),
        (("MODEL", None, "onnx"), "`folder` must be"),
        (("MODEL", "new", "litert", "sample"), "Images must be"),
        (("MODEL", "new", "litert", None, "all"), "takes `calibration_images`"),
        (("MODEL", "new", "litert", [], "half"), "must be one of convolutions"),
        (("MODEL", "new", "onnx", None, None, 0), "from 1 to 1,024"),
        (("MODEL", "new", "keras", None, None, 1), "for litert or onnx"),
        (("MODEL", "new", "onnx", None, None, True), "from 1 to 1,024"),
    ],
)
def test_wrong_arguments_in_python_are_one_line_and_write_nothing(
    arguments, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    model, *others = arguments
    if model == "MODEL":
        model = build_model(Config(**TINY))
    with pytest.raises(InputError, match=f"{message}.*Received: ") as raised:
        export(model, *others)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--format", "onnx", "--quantize"], "litert to be quantized"),
        (["--format", "onnx", "--out", "taken"], "not overwritten"),
        (["--format", "pickle"], "'pickle'"),
        (["--format", "onnx", "--data", "sample"], "'sample' without"),
        (["taken/model.onnx", "--format", "litert"], "takes a Keras model"),
        (["nowhere", "--format", "litert"], "which does not exist"),
        (["--format", "litert", "--out", "taken/model.onnx"], "be a folder"),
    ],
)
def test_wrong_arguments_are_one_line_and_write_nothing(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    atomic_files.write_text(Path("taken", "model.onnx"), "precious")
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
    assert Path("taken", "model.onnx").read_text() == "precious"
