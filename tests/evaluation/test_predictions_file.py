"""What is written of each pair gives the scores once more."""

import numpy as np
import pytest

import evaluate as command
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.evaluate import evaluate
from keras_mnist_sum.formats.model_file import OpenedModel
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.task import Task


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A file of a model that regresses the sum and the product."""
    path = tmp_path_factory.mktemp("model") / "model.keras"
    config = Config(
        backbone="small",
        width=2,
        head="regression",
        outputs=("digit", "sum", "product"),
    )
    build_model(config).save(path)
    return path


def accuracies(path, digits):
    """By NumPy alone, as docs/training.md reads the file."""
    images, labels = digits
    with np.load(path) as found:
        assert found["image"].tolist() == [*range(len(images))]
        assert found["number"].tolist() == [*range(10)]
        number = found["number"][np.newaxis]
        right = {}
        for name, value in {
            "digit": labels[:, np.newaxis] + 0 * number,
            "sum": labels[:, np.newaxis] + number,
            "product": labels[:, np.newaxis] * number,
        }.items():
            if f"{name}_labels" not in found:
                continue
            if f"{name}_values" in found:
                predicted = np.rint(found[f"{name}_values"])
                assert found[f"{name}_values"].dtype == "float32"
            else:
                shares = found[f"{name}_probabilities"]
                assert shares.dtype == "float32"
                predicted = found[f"{name}_classes"][shares.argmax(axis=-1)]
            stored = found[f"{name}_labels"]
            if name == "digit":
                assert stored.shape == predicted.shape == (len(images),)
                stored, predicted = stored[:, None], predicted[:, None]
            assert (stored == value).all()
            right[name] = np.broadcast_to(predicted == value, value.shape)
        right["all"] = np.all(list(right.values()), axis=0)
        return {name: one.mean() for name, one in right.items()}


def test_file_read_back_gives_the_figures_that_were_printed(
    model, digits, npz, tmp_path, capsys
):
    path = tmp_path / "new" / "pairs"  # Of any name.
    arguments = [str(model), "--data", str(npz), "--predictions", str(path)]
    assert command.main(arguments) == 0
    printed = capsys.readouterr().out
    found = accuracies(path, digits)
    assert set(found) == {"digit", "sum", "product", "all"}
    for name, share in found.items():
        [line] = [x for x in printed.splitlines() if x.startswith(f"{name} ")]
        assert f"{100 * share:.2f} %" in line

    scores = evaluate(model, digits, predictions=tmp_path / "pairs.npz")
    assert accuracies(tmp_path / "pairs.npz", digits) == scores.accuracy()


def test_digit_that_depends_on_the_number_is_there_for_each(digits, tmp_path):
    """In models of others."""

    def predict(arrays):
        return {"digit": arrays["number"]}

    opened = OpenedModel(tmp_path, predict, Task(digit=lambda d, n: d))
    evaluate(opened, digits, predictions=tmp_path / "pairs.npz")
    with np.load(tmp_path / "pairs.npz") as found:
        shares = found["digit_probabilities"]
        assert found["digit_labels"].tolist() == digits[1].tolist()
    assert (shares == np.eye(10)).all() and shares.shape == (50, 10, 10)


@pytest.mark.parametrize("where", ["folder", "file/x", "model"])
def test_file_that_cannot_be_written_is_refused_before_any_work(
    model, npz, tmp_path, monkeypatch, capsys, where
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("precious")
    where = str(model) if where == "model" else where
    before = model.read_bytes()
    arguments = ["--data", str(npz), "--predictions", where]
    assert command.main([str(model), *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert "Received: " in said.err and model.read_bytes() == before
    if where != str(model):
        with pytest.raises(InputError, match="Received: "):
            evaluate("no model", predictions=where)
    assert (tmp_path / "file").read_text() == "precious"


def test_each_file_has_a_name_of_its_own(model, npz, capsys, monkeypatch):
    monkeypatch.chdir(npz.parent)
    arguments = [str(model), "--data", str(npz), "--json", "a"]
    assert command.main([*arguments, "--predictions", "./a"]) == 2
    assert "must be two files" in capsys.readouterr().err
    arguments = [str(model), "--data", str(npz), "--report", "page"]
    assert command.main([*arguments, "--predictions", "page/a.npz"]) == 2
    assert "Received: --predictions" in capsys.readouterr().err
