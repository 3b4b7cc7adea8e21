"""The requests that docs/serving.md shows, sent to a server of TensorFlow
Serving's own messages; its binary is in no package registry."""

import contextlib
import io
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.models.build import build_model

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text()
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    model = build_model(Config(backbone="small", width=2))
    path = export(model, tmp_path_factory.mktemp("a"), "saved_model").path
    return tf.saved_model.load(str(path))


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers `Predict` as TensorFlow Serving is documented to."""

    def __init__(self, signatures):
        self.signatures = signatures
        self.names = []

    def Predict(self, request, context):
        self.names.append(request.model_spec.name)
        signature = self.signatures[request.model_spec.signature_name]
        inputs = {
            name: tf.constant(tf.make_ndarray(tensor))
            for name, tensor in request.inputs.items()
        }
        response = predict_pb2.PredictResponse()
        for name, tensor in signature(**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(tensor))
        return response


def expected_sums(loaded):
    images = load_mnist("sample").test_images[:3]
    answers = loaded.signatures["serve_raw"](
        image=tf.constant(images), number=tf.constant([3, 4, 5], tf.int64)
    )
    return answers["sum"].numpy()


def test_request_by_grpc_is_answered(loaded):
    service = Service(loaded.signatures)
    server = grpc.server(ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        service, server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    [code] = [
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        if "grpc" in block
    ]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            exec(code.replace("localhost:8500", f"127.0.0.1:{port}"), {})
    finally:
        server.stop(None)
    assert service.names == ["mnist_sum"]
    assert said.getvalue() == f"{expected_sums(loaded)}\n"


def test_request_in_json_holds_what_the_signature_takes(loaded):
    commands = re.findall(
        r"^python -c \"\n(.*?)\" > request.json", PAGE, re.DOTALL | re.MULTILINE
    )
    [command] = [x for x in commands if "instances" in x]
    written = subprocess.run(
        [sys.executable, "-c", command],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    # As TensorFlow Serving reads JSON, into the same message.
    request = predict_pb2.PredictRequest()
    body = json.loads(written.stdout)
    request.model_spec.signature_name = body["signature_name"]
    assert set(body) == {"signature_name", "instances"}
    signature = loaded.signatures[body["signature_name"]]
    for name, spec in signature.structured_input_signature[1].items():
        values = np.array([row[name] for row in body["instances"]])
        request.inputs[name].CopyFrom(
            tf.make_tensor_proto(values, dtype=spec.dtype)
        )
    answers = Service(loaded.signatures).Predict(request, None)
    sums = tf.make_ndarray(answers.outputs["sum"])
    np.testing.assert_array_equal(sums, expected_sums(loaded))
