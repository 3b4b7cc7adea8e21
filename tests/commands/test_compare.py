"""`compare`, as a user meets it."""

import shutil
from pathlib import Path

import pytest

from keras_mnist_sum import __main__

MODEL = Path(__main__.__file__).parent / "pretrained" / "model.onnx"


@pytest.fixture
def models(tmp_path):
    paths = [tmp_path / "one.onnx", tmp_path / "two.onnx"]
    for path in paths:
        shutil.copy(MODEL, path)
    return list(map(str, paths))


def test_prints_a_row_a_model_and_writes_what_was_asked_for(
    models, npz, tmp_path, capsys
):
    table, picture = tmp_path / "table.csv", tmp_path / "picture.png"
    arguments = ["compare", *models, "--data", str(npz)]
    arguments += ["--csv", str(table), "--plot", str(picture)]
    assert __main__.main(arguments) == 0
    printed = capsys.readouterr().out
    assert f"A  path {models[0]}  1  " in printed
    assert f"B  path {models[1]}  1  " in printed
    assert len(table.read_text().splitlines()) == 9
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_wrong_input_is_one_line_before_any_work(models, tmp_path, capsys):
    for arguments, words in [
        ([models[0], "none.onnx"], "'none.onnx', which does not exist"),
        ([*models, "--csv", str(tmp_path)], "must be a file that can be"),
        ([*models, "--data", "none.npz"], "none.npz"),
    ]:
        assert __main__.main(["compare", *arguments]) == 2
        printed = capsys.readouterr()
        assert words in printed.err
        assert printed.err.count("\n") == 1 and not printed.out
