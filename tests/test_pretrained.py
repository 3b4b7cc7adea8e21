import numpy as np
import pytest

import evaluate
import keras_mnist_sum
from keras_mnist_sum import evaluation
from keras_mnist_sum import pretrained
from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.sources import load_mnist


def test_pretrained_model_is_small_reads_digits_and_knows_arithmetic():
    """The sample's images were trained on: this is no accuracy to quote."""
    assert pretrained.PATH.stat().st_size < 4e6
    model = keras_mnist_sum.load_pretrained()
    mnist = load_mnist("sample", test_only=True)
    scored = evaluation.evaluate(
        evaluation.answerer_of_model(model),
        mnist.test_images,
        mnist.test_labels,
    )
    assert min(scored.accuracy().values()) > 0.99
    cells = evaluation.table_cells_right(model, "absolute")
    assert cells == {"sum": 100, "difference": 100}


def test_pretrained_model_answers_as_the_readme_says():
    model = keras_mnist_sum.load_pretrained()
    mnist = load_mnist("sample", test_only=True)
    numbers = np.eye(10)[np.arange(8) + 2]
    answers = model.predict(
        {"image": mnist.test_images[:8, ..., np.newaxis], "number": numbers},
        verbose=0,
    )
    for name, output in task.outputs().items():
        given = output.answers(answers[name])
        digits = mnist.test_labels[:8]
        assert list(given) == list(output.truth[digits, np.arange(8) + 2])


@pytest.mark.parametrize("damage", ["missing", "truncated", "another"])
def test_model_that_is_not_the_shipped_one_is_refused(
    damage, tmp_path, monkeypatch
):
    path = tmp_path / "model.keras"
    if damage == "truncated":
        path.write_bytes(pretrained.PATH.read_bytes()[:-1])
    if damage == "another":
        keras_mnist_sum.build_model(Config(width=4)).save(path)
    monkeypatch.setattr(pretrained, "PATH", path)
    with pytest.raises(InputError, match="Received:"):
        pretrained.load_pretrained()


def test_evaluate_without_any_run_takes_the_pretrained_model(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert evaluate.main(["--data", "sample"]) == 0
    said = capsys.readouterr().out
    assert "pretrained/model.keras" in said
    assert "may have been trained on" in said
    assert "10,000" in said
