"""`compare`, as a user meets it."""

import contextlib
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
    lines = " ".join(printed.split())
    assert f"A path {models[0]} B path {models[1]} n " in lines
    assert "\nA  1  " in printed and "\nB  1  " in printed
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


def test_nothing_that_is_read_is_replaced(models, npz, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    evaluate = ["evaluate", models[0], "--data", str(npz), "--json"]
    compare = ["compare", *models, "--data", str(npz), "--csv"]
    for arguments in (
        [*evaluate, models[0]],
        [*evaluate, str(npz)],
        ["evaluate", str(run), "--json", str(run / "config.json")],
        ["evaluate", str(run), "--json", str(run / "model.keras")],
        [*compare, models[1]],
        [*compare, str(npz)],
        [*compare, str(tmp_path / "one"), "--plot", str(tmp_path / "one")],
    ):
        before = {x: x.read_bytes() for x in tmp_path.rglob("*") if x.is_file()}
        assert __main__.main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
        after = {x: x.read_bytes() for x in tmp_path.rglob("*") if x.is_file()}
        assert after == before


def test_empty_path_is_not_the_working_directory(models, capsys):
    for arguments in (
        ["evaluate", ""],
        ["evaluate", models[0], "--data", ""],
        ["train", "--run-dir", ""],
    ):
        with (
            pytest.raises(SystemExit)
            if "--data" not in arguments
            else (contextlib.nullcontext())
        ):
            assert __main__.main(arguments) == 2
        assert "empty" in capsys.readouterr().err
