"""The Open Inference Protocol, as `examples/mlserver` serves it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.formats.model_file import model_inputs
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.formats.pretrained import checked_path
from tests.clients.test_clients import CLIENTS
from tests.clients.test_clients import needs
from tests.code_blocks import ROOT
from tests.code_blocks import blocks

PACKAGES = CLIENTS / "mlserver"
START = "import sys; from mlserver.cli import main; sys.exit(main())"
pytestmark = [
    pytest.mark.slow,
    needs(PACKAGES, "pip install --target as tests/clients/mlserver.txt has"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of the model, once it is ready."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [str(each.getsockname()[1]) for each in sockets]
    names = ("HTTP", "GRPC", "METRICS")
    folder = ROOT / "examples" / "mlserver"
    log = tmp_path_factory.mktemp("mlserver") / "log"
    url = f"http://127.0.0.1:{ports[0]}/v2/models/mnist_sum"
    with open(log, "wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-c", START, "start", str(folder)],
            cwd=folder,
            stdout=file,
            stderr=file,
            env={
                **os.environ,
                **{
                    f"MLSERVER_{name}_PORT": port
                    for name, port in zip(names, ports)
                },
                "PYTHONPATH": os.pathsep.join(map(str, (PACKAGES, ROOT))),
            },
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/ready")
                break
            alive = server.poll() is None and time.monotonic() < deadline
            assert alive, log.read_text()[-3000:]
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def infer(address, arrays):
    inputs = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": "FP32",
            "data": array.ravel().tolist(),
        }
        for name, array in arrays.items()
    ]
    request = urllib.request.Request(
        f"{address}/infer",
        json.dumps({"inputs": inputs}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        outputs = json.load(response)["outputs"]
    return {x["name"]: np.reshape(x["data"], x["shape"]) for x in outputs}


def test_answers_as_the_model_does(address):
    images = load_mnist("sample").test_images[:3]
    arrays = model_inputs(images, np.array([3, 4, 5]))
    answers = infer(address, arrays)
    expected = open_model(checked_path("model.onnx")).predict(arrays)
    assert list(answers) == ["digit", "sum", "difference"]
    for name, array in answers.items():
        np.testing.assert_allclose(array, expected[name], atol=1e-6)


def test_request_of_the_page_is_answered(address, tmp_path):
    """The command of docs/serving.md, to the port of this server."""
    found = blocks(ROOT / "docs" / "serving.md")
    [block] = [text for _, text in found if "v2/models" in text]
    port = address.split("/")[2]
    block = block.replace("python ", f"{sys.executable} ")
    answered = subprocess.run(
        ["bash", "-ec", block.replace("localhost:8080", port)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    outputs = json.loads(answered.stdout)["outputs"]
    values = {x["name"]: int(np.argmax(x["data"])) for x in outputs}
    assert values == {"digit": 0, "sum": 3, "difference": 3}


def test_rejects_wrong_tensors_with_the_shapes_it_takes(address):
    arrays = {"image": np.zeros((1, 28, 28)), "number": np.eye(10)[:1]}
    with pytest.raises(urllib.error.HTTPError) as raised:
        infer(address, arrays)
    assert raised.value.code == 400
    assert b"takes image (batch, 28, 28, 1)" in raised.value.read()
