"""A SavedModel as TensorFlow Serving answers from it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.evaluate import evaluate
from keras_mnist_sum.formats import saved_model
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.models.build import build_model

TINY = dict(backbone="small", width=2)
HEADS = [("table", "absolute"), ("exact", "signed"), ("regression", "signed")]


@pytest.fixture(scope="module", params=HEADS, ids=["-".join(x) for x in HEADS])
def served(request, tmp_path_factory):
    """The model, its outputs, and where it was exported to."""
    head, difference = request.param
    model = build_model(Config(head=head, difference=difference, **TINY))
    path = tmp_path_factory.mktemp("served") / "saved_model" / "1"
    export(model, path.parents[1], "saved_model")
    return model, task.Task.named(difference=difference), path


@pytest.fixture(scope="module")
def signatures(served):
    loaded = tf.saved_model.load(str(served[2]))
    return {name: loaded.signatures[name] for name in loaded.signatures}


@pytest.fixture
def pairs(digits):
    images, _ = digits
    return images[:7], np.array([0, 1, 9, 3, 4, 5, 6])


def predictions(model, pairs):
    images, numbers = pairs
    image = images[..., np.newaxis].astype("float32") / 255
    return model.predict({"image": image, "number": np.eye(10)[numbers]})


def test_raw_signature_gives_the_models_integers(served, signatures, pairs):
    model, outputs, _ = served
    images, numbers = pairs
    answers = signatures["serve_raw"](
        image=tf.constant(images), number=tf.constant(numbers, tf.int64)
    )
    expected = {}
    for name, prediction in predictions(model, pairs).items():
        expected[name] = outputs[name].decode(prediction)
        if prediction.shape[-1] > 1:
            expected[f"{name}_probability"] = prediction.max(axis=-1)
    assert set(answers) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(answers[name], values, atol=1e-6)
        kind = tf.float32 if name.endswith("probability") else tf.int64
        assert answers[name].dtype == kind


def shape(*sizes):
    return np.zeros(sizes, "uint8")


@pytest.mark.parametrize(
    "image, number, why",
    [
        (shape(1, 28, 28), [10], r"from 0 to 9. Received:\] \[10\]"),
        (shape(2, 28, 28), [3, -1], r"from 0 to 9. Received:\] \[3 -1\]"),
        (shape(1, 27, 28), [1], r"shape \(batch, 28, 28\). .*\[1 27 28\]"),
        (shape(0, 28, 28), [], r"at least one. .*\[0 0\]"),
        (shape(2, 28, 28), [1], r"for each `image`.*\[2 1\]"),
    ],
)
def test_raw_signature_rejects_a_wrong_request_with_the_reason(
    signatures, image, number, why
):
    with pytest.raises(tf.errors.InvalidArgumentError, match=why):
        signatures["serve_raw"](
            image=tf.constant(image), number=tf.constant(number, tf.int64)
        )


PIXELS, DIGITS = (2, 28, 28), (2,)
WIDE, ONE_HOT = (2, 28, 28, 1), (2, 10)
WIDE_WORDS = "image.*28, 28, 1"


@pytest.mark.parametrize(
    "name, image, number, wanted, received",
    [
        ("serve_raw", (2, 28, 28, 1), DIGITS, "image.*28, 28", "2 28 28 1"),
        ("serve_raw", (2, 784), DIGITS, "image.*28, 28", "2 784"),
        ("serve_raw", (), DIGITS, "image.*28, 28", ""),
        ("serve_raw", PIXELS, (2, 1), "number.*batch", "2 1"),
        ("serve_raw", PIXELS, (), "number.*batch", ""),
        ("serving_default", PIXELS, ONE_HOT, WIDE_WORDS, "2 28 28"),
        ("serving_default", (2, 784), ONE_HOT, WIDE_WORDS, "2 784"),
        (
            "serving_default",
            (2, 27, 28, 1),
            ONE_HOT,
            WIDE_WORDS,
            "2 27 28 1",
        ),
        ("serving_default", (2, 28, 28, 3), ONE_HOT, WIDE_WORDS, "2 28 28 3"),
        ("serving_default", (*WIDE, 1), ONE_HOT, WIDE_WORDS, "2 28 28 1 1"),
        ("serving_default", (), ONE_HOT, WIDE_WORDS, ""),
        ("serving_default", WIDE, (2,), "number.*batch, 10", "2"),
        ("serving_default", WIDE, (2, 9), "number.*batch, 10", "2 9"),
        ("serving_default", WIDE, (2, 10, 1), "number.*batch, 10", "2 10 1"),
        ("serving_default", WIDE, (), "number.*batch, 10", ""),
    ],
)
def test_rejects_other_shapes_with_the_ones_it_takes(
    signatures, name, image, number, wanted, received
):
    """As a server meets them: it holds no client to what is declared."""
    signature = signatures[name]
    specs = signature.structured_input_signature[1]
    why = rf"`{wanted}\)\. Received:\] \[{received}\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=why):
        signature(
            image=tf.zeros(image, specs["image"].dtype),
            number=tf.zeros(number, specs["number"].dtype),
        )


@pytest.mark.parametrize("pixel", [np.nan, np.inf])
def test_rejects_pixels_that_are_not_finite(signatures, pixel):
    image = np.zeros((1, 28, 28, 1), "float32")
    image[0, 5, 5] = pixel
    with pytest.raises(tf.errors.InvalidArgumentError, match="finite pixels"):
        signatures["serving_default"](
            image=tf.constant(image), number=tf.one_hot([3], 10)
        )


@pytest.mark.parametrize(
    "number, why",
    [
        ([[np.nan] * 10], "must be one-hot.*nan"),
        ([[0.2] * 10], "must be one-hot.*0.2"),
        ([[2.0, -1.0] + 8 * [0.0]], "must be one-hot.*-1"),
        ([[1.0] + 9 * [0.0]] * 3, r"for each `image`.*\[1 3\]"),
    ],
)
def test_rejects_numbers_that_are_not_a_distribution(signatures, number, why):
    with pytest.raises(tf.errors.InvalidArgumentError, match=why):
        signatures["serving_default"](
            image=tf.zeros((1, 28, 28, 1)), number=tf.constant(number)
        )


def test_rejects_an_empty_request(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one"):
        signatures["serving_default"](
            image=tf.zeros((0, 28, 28, 1)), number=tf.zeros((0, 10))
        )


def answer(signatures, request):
    """What TensorFlow Serving's REST interface does with a request's text:
    https://www.tensorflow.org/tfx/serving/api_rest#predict_api"""
    request = json.loads(request)
    signature = signatures[request.get("signature_name", "serving_default")]
    rows = request.get("instances")
    columns = request.get("inputs")
    if rows is not None:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
    kinds = signature.structured_input_signature[1]
    answers = signature(
        **{
            name: tf.constant(column, kinds[name].dtype)
            for name, column in columns.items()
        }
    )
    columns = {name: value.numpy().tolist() for name, value in answers.items()}
    if rows is None:
        return {"outputs": columns}
    return {
        "predictions": [
            dict(zip(columns, row)) for row in zip(*columns.values())
        ]
    }


@pytest.mark.parametrize("name", ["serving_default", "serve_raw"])
def test_json_requests_in_rows_and_columns_get_the_same_answers(
    signatures, pairs, name
):
    images, numbers = pairs
    image, number = images.tolist(), numbers.tolist()
    if name == "serving_default":
        image = (images[..., np.newaxis] / 255).tolist()
        number = np.eye(10)[numbers].tolist()
    rows = [{"image": i, "number": n} for i, n in zip(image, number)]
    by_row = answer(
        signatures, json.dumps({"signature_name": name, "instances": rows})
    )["predictions"]
    columns = {"image": image, "number": number}
    by_column = answer(
        signatures, json.dumps({"signature_name": name, "inputs": columns})
    )["outputs"]
    assert len(by_row) == 7 and {"digit", "sum", "difference"} <= set(by_row[0])
    for key, column in by_column.items():
        np.testing.assert_allclose([row[key] for row in by_row], column)


def test_warm_up_holds_a_valid_request_for_each_signature(served, signatures):
    file = served[2] / "assets.extra" / "tf_serving_warmup_requests"
    asked = []
    for record in tf.data.TFRecordDataset(str(file)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        asked.append(request.model_spec.signature_name)
        inputs = {
            name: tf.constant(tf.make_ndarray(tensor))
            for name, tensor in request.inputs.items()
        }
        assert signatures[asked[-1]](**inputs)["digit"].shape[0] == 1
    assert sorted(asked) == sorted(signatures)


@pytest.mark.slow
@pytest.mark.parametrize("served", HEADS[:1], ids=["table"], indirect=True)
def test_tensorflows_own_tool_shows_and_runs_it(served, pairs, tmp_path):
    images, numbers = pairs
    np.savez(tmp_path / "pairs.npz", image=images, number=numbers)
    model, outputs, path = served
    tool = Path(sys.executable).parent / "saved_model_cli"
    which = ["--dir", path, "--tag_set", "serve", "--signature_def"]

    def run(*arguments):
        return subprocess.run(
            [tool, *arguments],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    shown = run("show", *which, "serve_raw")
    assert "inputs['image'] tensor_info:\n      dtype: DT_UINT8" in shown
    inputs = ";".join(
        f"{name}={tmp_path}/pairs.npz[{name}]" for name in ("image", "number")
    )
    run("run", *which, "serve_raw", "--inputs", inputs, "--outdir", tmp_path)
    expected = predictions(model, pairs)
    for name, output in outputs.items():
        answers = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_array_equal(answers, output.decode(expected[name]))


def test_all_numbers_are_answered_as_one_by_one(served, signatures, pairs):
    model, outputs, _ = served
    image = pairs[0][..., np.newaxis].astype("float32") / 255
    answers = signatures["all_numbers"](image=tf.constant(image))
    assert list(outputs) == sorted(answers, key=list(outputs).index)
    for number in range(10):
        one_hot = np.repeat(np.eye(10, dtype="float32")[[number]], 7, axis=0)
        expected = model.predict_on_batch({"image": image, "number": one_hot})
        for name, array in expected.items():
            found = answers[name][:, number]
            np.testing.assert_allclose(found, array, atol=1e-6)


def test_scores_are_those_of_the_default_signature(served, digits):
    model, _, path = served
    assert evaluate(path, digits).correct == evaluate(model, digits).correct


def test_signature_that_answers_otherwise_is_not_scored(
    digits, tmp_path, monkeypatch
):
    honest = saved_model.signatures

    def lying(model):
        functions = honest(model)
        spec = tf.TensorSpec((None, 28, 28, 1), name="image")

        @tf.function(input_signature=[spec])
        def all_numbers(image):
            answers = functions["all_numbers"](image=image)
            return {name: x[..., ::-1] for name, x in answers.items()}

        return functions | {"all_numbers": all_numbers}

    monkeypatch.setattr(saved_model, "signatures", lying)
    path = export(build_model(Config(**TINY)), tmp_path, "saved_model").path
    with pytest.raises(InputError, match=r"all_numbers.*Received: "):
        evaluate(path, digits)
