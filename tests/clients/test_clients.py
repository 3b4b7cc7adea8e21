"""Exported models in the runtimes of others, which know nothing of ours.

They are found in the folder that `CLIENTS` names; .ci/run fills it.
"""

import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.formats.pretrained import load_pretrained
from keras_mnist_sum.models.build import build_model
from tests.code_blocks import ROOT
from tests.code_blocks import blocks
from tests.fixtures import browser as driver

HERE = Path(__file__).parent
CLIENTS = Path(os.environ.get("CLIENTS", HERE / "installed"))
NODE_MODULES = CLIENTS / "node_modules"
pytestmark = pytest.mark.slow


def needs(path, how):
    return pytest.mark.skipif(not path.exists(), reason=f"{path}: {how}")


def needs_python(package):
    how = "pip install --no-deps --target as tests/clients/requirements.txt has"
    return needs(CLIENTS / "python" / package, how)


def needs_node(package):
    return needs(NODE_MODULES / package, "npm install tests/clients")


@pytest.fixture(scope="module")
def model():
    """Every kind of layer there is in a residual network, and its averages."""
    keras.utils.set_random_seed(0)
    return build_model(Config(backbone="residual", width=4, test_time_shift=1))


@pytest.fixture
def pairs(digits):
    return {
        "image": digits[0][:5, ..., np.newaxis].astype("float32") / 255,
        "number": np.eye(10, dtype="float32")[[1, 2, 3, 0, 9]],
    }


def same(answers, expected, tolerance=1e-5):
    assert set(answers) == {"digit", "sum", "difference"}
    for name, array in expected.items():
        np.testing.assert_allclose(answers[name], array, atol=tolerance)


def in_python(script, *arguments):
    """Runs a script here that has packages of its own."""
    command = [sys.executable, HERE / script, *arguments]
    return _run(command, str(CLIENTS / "python"))


def in_node(script, model, pairs, folder):
    """Answers of a script, run beside the packages, where Node finds them."""
    (folder / "node_modules").symlink_to(NODE_MODULES)
    given, out = folder / "in.json", folder / "out.json"
    given.write_text(json.dumps({n: x.tolist() for n, x in pairs.items()}))
    _run(["node", shutil.copy(HERE / script, folder), model, given, out])
    return json.loads(out.read_text())


def _run(command, python_path=""):
    result = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def answers_of(script, model, pairs, folder):
    given, out = folder / "in.npz", folder / "out.npz"
    np.savez(given, **pairs)
    in_python(script, model, given, out)
    with np.load(out) as arrays:
        return dict(arrays)


@needs_python("tflite_micro")
def test_microcontrollers_answer_from_one_pair_at_a_time(
    model, pairs, tmp_path
):
    path = export(model, tmp_path, "litert", batch=1).path
    answers = answers_of("run_tflite_micro.py", path, pairs, tmp_path)
    same(answers, model.predict_on_batch(pairs))


@needs_python("tflite_micro")
def test_microcontrollers_answer_in_integers_alone(tmp_path):
    """In 256 kB of memory; bytes in, bytes out."""
    model, mnist = load_pretrained(), load_mnist("sample")
    images, labels = mnist.train_images, mnist.test_labels[:5]
    path = export(model, tmp_path, "litert", images, quantize="all").path
    pairs = {
        "image": mnist.test_images[:5, ..., np.newaxis],
        "number": 255 * np.eye(10, dtype="uint8")[[1, 2, 3, 0, 9]],
    }
    expected = open_model(path).predict(
        {name: array / np.float32(255) for name, array in pairs.items()}
    )
    answers = answers_of("run_tflite_micro.py", path, pairs, tmp_path)
    assert {array.dtype for array in answers.values()} == {np.dtype("uint8")}
    same({n: x / 255 for n, x in answers.items()}, expected, 3 / 255)
    np.testing.assert_array_equal(answers["digit"].argmax(axis=1), labels)


@needs_python("cv2")
def test_opencv_answers(model, pairs, tmp_path):
    path = export(model, tmp_path, "onnx", batch=1).path
    answers = answers_of("run_opencv.py", path, pairs, tmp_path)
    same(answers, model.predict_on_batch(pairs))


@needs_python("coremltools")
def test_core_ml_converts_the_signature_that_refuses_nothing(model, tmp_path):
    path = export(model, tmp_path, "saved_model").path
    # In alphabetical order: coremltools drops the names.
    assert in_python("to_core_ml.py", path).splitlines() == [
        "Identity [1, 10]",
        "Identity_1 [1, 10]",
        "Identity_2 [1, 19]",
    ]


@needs_python("tensorflowjs")
@needs_node("@tensorflow/tfjs")
def test_tensorflow_js_answers(model, pairs, tmp_path):
    path = export(model, tmp_path, "saved_model").path
    converted = tmp_path / "converted"
    in_python("to_tensorflowjs.py", path, converted)
    answers = in_node("run_tensorflowjs.cjs", converted, pairs, tmp_path)
    same(answers, model.predict_on_batch(pairs))


@needs_node("onnxruntime-web")
def test_onnx_runtime_web_answers(model, pairs, tmp_path):
    path = export(model, tmp_path, "onnx").path
    answers = in_node("run_onnxruntime_web.mjs", path, pairs, tmp_path)
    same(answers, model.predict_on_batch(pairs))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, format, *args):
        """Says nothing."""


@contextlib.contextmanager
def served(folder):
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


IN_BROWSER = """<!doctype html>
<script src="/node_modules/@tensorflow/tfjs/dist/tf.min.js"></script>
<script type="importmap">{"imports": {"@litertjs/wasm-utils":
  "/node_modules/@litertjs/wasm-utils/dist/index.js"}}</script>
<script type="module">
import * as ort from "/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import {Tensor, loadAndCompile, loadLiteRt}
  from "/node_modules/@litertjs/core/dist/index.js";
await loadLiteRt("/node_modules/@litertjs/core/wasm/");
const pixels = new Float32Array(PIXELS), oneHot = new Float32Array(ONE_HOT);
const [image, number] =
  [tf.tensor(pixels, [1, 28, 28, 1]), tf.tensor(oneHot, [1, 10])];
{ CODE window.answer = Array.from(await ANSWER); }
</script>
"""


@needs_python("tensorflowjs")
@needs_node("onnxruntime-web")
@pytest.mark.skipif(driver.find_chromium() is None, reason="no Chromium")
@pytest.mark.parametrize(
    "begin, answer",
    [
        ("const model = await tf.", "sum.data()"),
        ("const session =", "sum.data"),
        ("const model = await loadAndCompile", "answers.sum.data()"),
    ],
)
def test_javascript_of_the_page_runs(begin, answer, model, pairs, tmp_path):
    """Each block of docs/runtimes.md, in a browser, beside its files."""
    found = blocks(ROOT / "docs" / "runtimes.md")
    found = [text for language, text in found if language == "js"]
    assert len(found) == 3
    [block] = [text for text in found if text.startswith(begin)]
    if "tf." in block:
        path = export(model, tmp_path / "exported", "saved_model").path
        in_python("to_tensorflowjs.py", path, tmp_path / "converted")
    elif "ort." in block:
        export(model, tmp_path, "onnx")
    else:
        export(model, tmp_path, "litert", batch=1)
    one = {name: array[:1] for name, array in pairs.items()}
    text = IN_BROWSER.replace("PIXELS", str(one["image"].ravel().tolist()))
    text = text.replace("ONE_HOT", str(one["number"].ravel().tolist()))
    text = text.replace("CODE", block).replace("ANSWER", answer)
    (tmp_path / "index.html").write_text(text)
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    with served(tmp_path) as url, driver.open_browser() as browser:
        opened = browser.new_page()
        opened.goto(url)
        opened.wait_for_function("() => Boolean(window.answer)")
        answered = opened.evaluate("() => window.answer")
    expected = model.predict_on_batch(one)["sum"]
    np.testing.assert_allclose([answered], expected, atol=1e-5)


@needs_node("@litertjs/core")
@pytest.mark.skipif(driver.find_chromium() is None, reason="no Chromium")
@pytest.mark.parametrize("script", ["run_litert.html", "run_tfjs_tflite.html"])
def test_browser_answers_from_a_litert_file(script, model, pairs, tmp_path):
    path = export(model, tmp_path, "litert", batch=1).path
    path.rename(tmp_path / "model.tflite")
    shutil.copy(HERE / script, tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    with served(tmp_path) as url, driver.open_browser() as browser:
        page = browser.new_page()
        page.goto(f"{url}/{script}")
        page.wait_for_function("() => Boolean(window.answer)")
        answers = page.evaluate(
            "pairs => window.answer(pairs)",
            {name: x.tolist() for name, x in pairs.items()},
        )
    same(answers, model.predict_on_batch(pairs))


def test_keras_opens_a_saved_model_as_a_layer(model, pairs, tmp_path):
    """As Keras's own error says, when one loads a SavedModel otherwise."""
    path = export(model, tmp_path, "saved_model").path
    layer = keras.layers.TFSMLayer(str(path))
    inputs = {
        "image": keras.Input((28, 28, 1), name="image"),
        "number": keras.Input((10,), name="number"),
    }
    answers = keras.Model(inputs, layer(inputs)).predict_on_batch(pairs)
    same(answers, model.predict_on_batch(pairs))


BEFORE = """
import numpy as np
image = np.zeros((1, 28, 28, 1), "float32")
number = np.eye(10, dtype="float32")[[3]]
images, numbers = image, number
if MODULE == "tflite_micro.python.tflite_micro.runtime":
    image, number = (x.astype("uint8") for x in (image, 255 * number))
"""


@pytest.mark.parametrize(
    "package, module, code",
    [
        ("numpy", "keras", "keras.layers.TFSMLayer"),
        ("coremltools", "coremltools", "coremltools.convert"),
        ("cv2", "cv2", "cv2.dnn"),
        (
            "tflite_micro",
            "tflite_micro.python.tflite_micro.runtime",
            "runtime.Interpreter",
        ),
    ],
)
def test_code_of_the_page_runs(package, module, code, model, tmp_path):
    """Each Python block of docs/runtimes.md, where its files are."""
    site = CLIENTS / "python"
    if package != "numpy" and not (site / package).is_dir():
        pytest.skip(f"{site / package} is not there")
    found = blocks(ROOT / "docs" / "runtimes.md")
    [block] = [x for y, x in found if y == "python" and code in x]
    export(model, tmp_path / "exported", "saved_model")
    export(model, tmp_path, "onnx", batch=1)
    mnist = load_mnist("sample")
    if package == "tflite_micro":
        export(load_pretrained(), tmp_path, "litert", mnist.train_images, "all")
    name = module.rpartition(".")[2]
    (tmp_path / "page.py").write_text(
        f"MODULE = {module!r}\n{BEFORE}import importlib\n"
        f"import tensorflow as tf\n"
        f"{name} = importlib.import_module(MODULE)\n{block}"
    )
    result = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]
