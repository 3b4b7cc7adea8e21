import numpy as np
import pytest

import evaluate
import keras_mnist_sum
from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.evaluate import predict_all_pairs
from keras_mnist_sum.evaluation.evaluate import table_cells_correct
from keras_mnist_sum.formats import pretrained


def test_pretrained_model_is_small_reads_digits_and_knows_arithmetic():
    """The sample's images were trained on: this is no accuracy to quote."""
    assert (pretrained.FOLDER / "model.keras").stat().st_size < 4e6
    model = keras_mnist_sum.load_pretrained()
    mnist = load_mnist("sample", test_only=True)
    predictions = predict_all_pairs(model, mnist.test_images, mnist.test_labels)
    assert min(predictions.scores.accuracy().values()) > 0.99
    cells = table_cells_correct(model, predictions.task)
    assert cells == {"sum": 100, "difference": 100}


def test_pretrained_model_answers_as_the_readme_says():
    model = keras_mnist_sum.load_pretrained()
    mnist = load_mnist("sample", test_only=True)
    numbers = np.eye(10)[np.arange(8) + 2]
    answers = model.predict(
        {"image": mnist.test_images[:8, ..., np.newaxis], "number": numbers},
        verbose=0,
    )
    for name, output in task.Task.named().items():
        given = output.decode(answers[name])
        digits = mnist.test_labels[:8]
        assert list(given) == list(output.pair_values[digits, np.arange(8) + 2])


def test_onnx_file_answers_as_the_keras_file():
    assert (pretrained.FOLDER / "model.onnx").stat().st_size < 2e6
    opened = pretrained.open_pretrained()
    assert opened.task == task.Task.named()
    assert opened.info.preset == "accurate"
    mnist = load_mnist("sample", test_only=True)
    images = mnist.test_images[..., np.newaxis].astype("float32")
    numbers = np.eye(10, dtype="float32")[np.arange(len(images)) * 7 % 10]
    arrays = {"image": images, "number": numbers}
    expected = keras_mnist_sum.load_pretrained().predict(arrays, verbose=0)
    answers = opened.predict(arrays)
    assert set(answers) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(answers[name], array, atol=1e-5)


@pytest.mark.parametrize(
    "name, load",
    [
        ("model.keras", pretrained.load_pretrained),
        ("model.onnx", pretrained.open_pretrained),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "truncated", "another"])
def test_rejects_a_model_that_is_not_the_shipped_one(
    damage, name, load, tmp_path, monkeypatch
):
    shipped, path = pretrained.FOLDER / name, tmp_path / name
    if damage == "truncated":
        path.write_bytes(shipped.read_bytes()[:-1])
    if damage == "another":
        keras_mnist_sum.build_model(Config(width=4)).save(tmp_path / "a.keras")
        (tmp_path / "a.keras").rename(path)
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    with pytest.raises(InputError, match="Received:"):
        load()


def test_evaluate_without_any_run_takes_the_pretrained_model(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert evaluate.main(["--data", "sample"]) == 0
    said = capsys.readouterr().out
    assert "pretrained/model.keras" in said
    assert "may have been trained on" in said
    assert "10,000" in said
