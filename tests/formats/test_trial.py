"""A model file is tried in a process of its own before it is believed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import onnx.numpy_helper
import pytest
from onnx import helper

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.formats import trial
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.layers import AugmentByShifts
from keras_mnist_sum.models.layers import MeanOverShifts
from keras_mnist_sum.models.layers import allow_layer
from keras_mnist_sum.task import INPUT_SHAPES
from keras_mnist_sum.task import Task
from tests.fixtures.networks import network

ROOT = Path(__file__).parents[2]
ENDLESS_LITERT = Path(__file__).with_name("endless.tflite")
TRUE = onnx.numpy_helper.from_array(np.array(True), "true")


@pytest.fixture(autouse=True)
def nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.delenv(trial.TRUST, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    new_process(monkeypatch)


@pytest.fixture
def trials(monkeypatch):
    """A list that gets an item for each process that is started."""
    started, start = [], subprocess.Popen

    def noted(*arguments, **options):
        started.append(arguments)
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", noted)
    return started


def new_process(monkeypatch):
    """As if all were forgotten that is not on the disk."""
    monkeypatch.setattr(trial, "_known", set(pretrained.SHA256.values()))


def constant(name, value, dtype="int64"):
    return onnx.numpy_helper.from_array(np.array(value, dtype), name)


def graph(nodes, inputs, outputs, constants=()):
    sides = [
        [helper.make_tensor_value_info(*value) for value in side]
        for side in (inputs, outputs)
    ]
    return helper.make_graph(nodes, "graph", *sides, constants)


def onnx_file(path, nodes=(), constants=(), weight=0.1):
    """A linear model, to whose answers the scalar `extra` is added."""
    nodes, constants = list(nodes), list(constants)
    if not nodes:
        constants.append(constant("extra", 0, "float32"))
    for name, output in Task.named().items():
        weights = np.full((10, output.num_classes), weight, "float32")
        constants.append(onnx.numpy_helper.from_array(weights, f"w_{name}"))
        nodes += [
            helper.make_node("MatMul", ["number", f"w_{name}"], [f"m_{name}"]),
            helper.make_node("Add", [f"m_{name}", "extra"], [name]),
        ]
    inputs = [(name, 1, (None, *x)) for name, x in INPUT_SHAPES.items()]
    outputs = [(k, 1, (None, x.num_classes)) for k, x in Task.named().items()]
    model = helper.make_model(
        graph(nodes, inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    path.write_bytes(model.SerializeToString())
    return path


def loop(count, grows=False):
    """A loop that does nothing, or keeps 4 MB in each round."""
    state = [("go_on", 9, ()), ("carried", 1, ())]
    nodes = [
        helper.make_node("Identity", ["go_on"], ["go_on_again"]),
        helper.make_node("Identity", ["carried"], ["carried_again"]),
    ]
    outputs = [("go_on_again", 9, ()), ("carried_again", 1, ())]
    if grows:
        nodes.append(helper.make_node("Expand", ["carried", "shape"], ["row"]))
        outputs.append(("row", 1, (10**6,)))
    body = graph(
        nodes,
        [("round", 7, ()), *state],
        outputs,
        [constant("shape", [10**6])],
    )
    ends = ["extra", "rows"][: 1 + grows]
    return (
        [helper.make_node("Loop", ["n", "true", "start"], ends, body=body)],
        [constant("n", count), TRUE, constant("start", 0, "float32")],
    )


def filled(size):
    """As many zeros for each example."""
    return (
        [
            helper.make_node("Shape", ["number"], ["shape"], end=1),
            helper.make_node("Concat", ["shape", "size"], ["both"], axis=0),
            helper.make_node("ConstantOfShape", ["both"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["extra"], keepdims=0),
        ],
        [constant("size", [size])],
    )


def test_file_is_tried_once(tmp_path, trials, monkeypatch):
    path = onnx_file(tmp_path / "model.onnx")
    expected = open_model(path).predict(pairs(3))
    for _ in range(2):
        new_process(monkeypatch)
        found = open_model(path).predict(pairs(3))
        np.testing.assert_array_equal(found["sum"], expected["sum"])
    assert len(trials) == 1
    open_model(onnx_file(path, weight=0.2))  # another file of that name
    assert len(trials) == 2


def pairs(count):
    return {
        "image": np.zeros((count, 28, 28, 1), "float32"),
        "number": np.eye(10, dtype="float32")[:count],
    }


def test_shipped_files_are_not_tried(trials):
    pretrained.open_pretrained()
    for path in pretrained.FOLDER.glob("model.*"):
        open_model(path)
    assert not trials


@pytest.mark.parametrize(
    "format",
    [
        "keras",
        pytest.param("onnx", marks=pytest.mark.slow),
        pytest.param("litert", marks=pytest.mark.slow),
    ],
)
def test_file_that_we_wrote_is_not_tried(format, tmp_path, trials, monkeypatch):
    model = build_model(Config(backbone="small", width=2))
    path = export(model, tmp_path, format).path
    new_process(monkeypatch)
    open_model(path)
    assert not trials


def test_believes_what_the_user_says_is_trusted(tmp_path, trials, monkeypatch):
    monkeypatch.setenv("KERAS_MNIST_SUM_TRUST_MODELS", "1")
    open_model(onnx_file(tmp_path / "model.onnx"))
    assert not trials


def test_another_version_of_the_runtime_tries_again(
    tmp_path, trials, monkeypatch
):
    path = onnx_file(tmp_path / "model.onnx")
    for version in ("1.0", "2.0", "1.0"):
        new_process(monkeypatch)
        monkeypatch.setattr(
            "importlib.metadata.version", lambda _, found=version: found
        )
        open_model(path)
    assert len(trials) == 2


def test_needs_no_place_to_remember(tmp_path, trials, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    path = onnx_file(tmp_path / "model.onnx")
    for _ in range(2):
        new_process(monkeypatch)
        for _ in range(2):  # This process does remember.
            assert open_model(path).task == Task.named()
    assert len(trials) == 2


@pytest.mark.parametrize(
    "make, seconds, memory, why",
    [
        (lambda: loop(2**62), 1, 2**30, "took too long"),
        (lambda: loop(2**40, grows=True), 30, 2**29, "cannot be run"),
        (lambda: filled(10**6), 30, 2**30, "cannot be run"),
    ],
    ids=["endless", "growing", "large"],
)
def test_rejects_model_that_takes_too_much(
    make, seconds, memory, why, tmp_path, monkeypatch
):
    monkeypatch.setattr(trial, "_SECONDS", seconds)
    monkeypatch.setattr(trial, "_MEMORY", memory)
    path = onnx_file(tmp_path / "model.onnx", *make())
    with pytest.raises(InputError, match="Received: ") as raised:
        open_model(path)
    said = str(raised.value)
    assert why in said and "\n" not in said and repr(str(path)) in said
    assert not list((tmp_path / "cache").rglob("*-*"))  # It is not believed.


def test_rejects_endless_litert_file(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "_SECONDS", 1)
    with pytest.raises(InputError, match="took too long"):
        open_model(ENDLESS_LITERT)


def test_runtime_that_crashes_ends_its_own_process_alone(tmp_path, monkeypatch):
    """Whatever makes it crash: here it kills itself."""
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(trial, "_CHILD", crash)
    with pytest.raises(InputError, match="Received: .*ended by SIGSEGV"):
        open_model(onnx_file(tmp_path / "model.onnx"))
    monkeypatch.setattr(trial, "_CHILD", "raise SystemError")
    with pytest.raises(InputError, match="Received: .*ended with exit code 1"):
        open_model(onnx_file(tmp_path / "model.onnx"))


def test_process_that_cannot_be_started_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="cannot be started .*Received: "):
        open_model(onnx_file(tmp_path / "model.onnx"))


def test_what_was_tried_is_what_is_used(tmp_path, monkeypatch):
    """Another file under the same name is refused, whenever it comes."""
    path = onnx_file(tmp_path / "model.onnx")
    for name in ("_start", "_remember"):  # before and after
        step = getattr(trial, name)

        def swapping(*arguments, step=step):
            onnx_file(path, weight=0.2)
            return step(*arguments)

        onnx_file(path)
        with monkeypatch.context() as context:
            context.setattr(trial, name, swapping)
            with pytest.raises(InputError, match="Received: .*it changed whil"):
                open_model(path)


@pytest.mark.parametrize("fails", [False, True])
def test_trial_that_was_begun_is_waited_for_or_ended(tmp_path, trials, fails):
    path = onnx_file(tmp_path / "model.onnx", *(loop(2**62) if fails else ()))
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text() if children.exists() else ""
    with contextlib.suppress(KeyError), trial.begun("onnx_file", path, None):
        if fails:
            raise KeyError
        assert open_model(path).task == Task.named()
    assert len(trials) == 1 and not trial._begun
    assert before == (children.read_text() if children.exists() else "")


def test_ctrl_c_ends_a_trial(tmp_path):
    path = onnx_file(tmp_path / "model.onnx", *loop(2**62))
    program = (
        "import sys\n"
        "from keras_mnist_sum.formats.open import open_model\n"
        "print('ready', flush=True)\n"
        "open_model(sys.argv[1])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (children.exists() and children.read_text().split()):
            time.sleep(0.01)
        [child] = children.read_text().split()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
    give_up = time.monotonic() + 20
    while Path("/proc", child).exists():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@keras.saving.register_keras_serializable(package="test_trial")
class Halved(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 2


def test_file_with_a_layer_of_this_process_alone_is_not_tried(tmp_path, trials):
    model = build_model(Config(backbone="small", width=2))
    digit = Halved(name="halved")(model.output["digit"])
    path = tmp_path / "model.keras"
    keras.Model(model.input, {**model.output, "digit": digit}).save(path)
    allow_layer(Halved)
    assert load_model(path).get_layer("halved")
    assert not trials


def keras_file(path, features):
    network(features).save(path)
    return path


def doubled(image):
    """25 layers that make 94 GB of an image."""
    for _ in range(25):
        image = keras.layers.Concatenate(axis=1)([image, image])
    return keras.layers.GlobalAveragePooling2D()(image)


def broadcast(image):
    """Two layers that make 1.9 GB of an image."""
    column = keras.layers.Reshape((784, 1, 1))(image)
    row = keras.layers.Reshape((1, 784, 1))(image)
    plane = keras.layers.Add()([column, row])
    line = keras.layers.Reshape((1, 1, 784))(image)
    return keras.layers.GlobalMaxPooling2D()(keras.layers.Add()([plane, line]))


def shifted(image):
    """Eight layers that make 390,625 images of one, and eight that undo it."""
    for _ in range(8):
        image = AugmentByShifts(1)(image)
    scores = keras.layers.Flatten()(image)
    for _ in range(8):
        scores = MeanOverShifts()(scores)
    return scores


def shifted_in_models(image):
    """The same, each pair of layers in a model around the one before."""
    inner = keras.Input((28, 28, 1))
    model = keras.Model(inner, keras.layers.Flatten()(inner))
    for _ in range(8):
        outer = keras.Input((28, 28, 1))
        scores = MeanOverShifts()(model(AugmentByShifts(1)(outer)))
        model = keras.Model(outer, scores)
    return model(image)


def repeated(image):
    """31 GB of an image."""
    image = keras.layers.Flatten()(image)
    return keras.layers.GlobalAveragePooling1D()(
        keras.layers.RepeatVector(10**7)(image)
    )


def grown(image):
    """13 GB of an image."""
    return pooled(keras.layers.UpSampling2D(2000)(image))


def padded(image):
    """14 GB of an image."""
    return pooled(keras.layers.ZeroPadding2D(30_000)(image))


def pooled(image):
    return keras.layers.GlobalAveragePooling2D()(image)


@pytest.mark.slow
@pytest.mark.parametrize(
    "features",
    [
        *(doubled, broadcast, shifted, shifted_in_models),
        *(repeated, grown, padded),
    ],
)
def test_rejects_keras_file_that_takes_any_memory(features, tmp_path):
    path = keras_file(tmp_path / "model.keras", features)
    assert path.stat().st_size < 300_000
    with pytest.raises(InputError, match="Received: ") as raised:
        load_model(path)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_rejects_models_in_models_that_take_any_time(tmp_path, monkeypatch):
    """Each calls the one in it twice: 40 of them, two to the power of 40."""

    def nested(image):
        inner = keras.Input((28, 28, 1))
        model = keras.Model(inner, keras.layers.ReLU()(inner), name="m0")
        outer = keras.Input((28, 28, 1))
        return pooled(keras.Model(outer, model(model(outer)), name="m")(image))

    path = keras_file(tmp_path / "model.keras", nested)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    [twice] = [x for x in config["config"]["layers"] if x["name"] == "m"]
    for _ in range(40):
        deeper = json.loads(json.dumps(twice))
        [inner] = [
            i
            for i, layer in enumerate(deeper["config"]["layers"])
            if layer["class_name"] == "Functional"
        ]
        calls = deeper["config"]["layers"][inner]["inbound_nodes"]
        text = json.dumps({**twice, "name": "m0", "inbound_nodes": calls})
        deeper["config"]["layers"][inner] = json.loads(text)
        deeper["config"]["layers"][inner]["config"]["name"] = "m0"
        twice["config"] = deeper["config"]
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    monkeypatch.setattr(trial, "_SECONDS", 5)
    with pytest.raises(InputError, match="Received: ") as raised:
        load_model(path)
    assert "took too long" in str(raised.value)


@pytest.mark.slow
def test_keras_file_of_others_is_tried_once(tmp_path, trials, monkeypatch):
    path = keras_file(tmp_path / "model.keras", pooled)
    for _ in range(2):
        new_process(monkeypatch)
        assert load_model(path).count_params() > 0
    shutil.rmtree(tmp_path / "cache")
    assert len(trials) == 1


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_process_survives_any_changed_byte(format, tmp_path):
    """As many as INPUTS says, 200 by default."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from keras_mnist_sum.formats.open import open_model\n"
        "from keras_mnist_sum.errors import InputError\n"
        "whole = Path(sys.argv[1]).read_bytes()\n"
        "path = Path(sys.argv[2])\n"
        "for seed in range(int(sys.argv[3])):\n"
        "    rng = np.random.default_rng(seed)\n"
        "    content = bytearray(whole)\n"
        "    place = rng.integers((600, 5000, len(whole))[seed % 3])\n"
        "    content[place] ^= rng.integers(1, 256)\n"
        "    path.write_bytes(content)\n"
        "    try:\n"
        "        open_model(path)\n"
        "    except InputError:\n"
        "        pass\n"
        "print('alive')\n"
    )
    model = build_model(Config(backbone="small", width=2))
    whole = export(model, tmp_path, format).path
    result = subprocess.run(
        [
            *(sys.executable, "-c", program, whole),
            tmp_path / f"changed{whole.suffix}",
            os.environ.get("INPUTS", "200"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (result.stdout, result.stderr) == ("alive\n", "")
