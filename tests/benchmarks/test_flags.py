"""What every program in benchmarks/ does before it measures anything."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from benchmarks import seeds
from keras_mnist_sum.errors import InputError

FOLDER = Path(seeds.__file__).parent
PROGRAMS = [
    path.stem
    for path in sorted(FOLDER.glob("*.py"))
    if "__main__" in path.read_text()
]
STORED = [
    path
    for path in sorted(seeds.RESULTS.glob("*.json"))
    if "mean_std" in path.read_text()
]


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_answers_and_does_no_work(name, monkeypatch, capsys):
    """Nor does a word that is no flag."""
    written = {x: x.stat().st_mtime_ns for x in FOLDER.rglob("*.json")}
    program = importlib.import_module(f"benchmarks.{name}")
    for arguments, code in ((["--help"], 0), (["--no-such-flag"], 2)):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(SystemExit) as stop:
            program.main()
        assert stop.value.code == code
        said = capsys.readouterr()
        assert said.out.startswith("usage: ") == (code == 0)
    assert written == {x: x.stat().st_mtime_ns for x in FOLDER.rglob("*.json")}


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_results_are_replaced_by_the_same_runs_alone(path):
    stored = json.loads(path.read_text())
    flags = stored["command"].split()[2:]
    seeds.check(path, stored["n"], flags)
    seeds.check(path, stored["n"] + 1, flags)
    for count, others, why in (
        (stored["n"] - 1, flags, "seeds"),
        (stored["n"], [*flags, "--preset", "hard_argmax"], "preset="),
        (stored["n"], [*flags, "--width", "5"], "width="),
    ):
        if path.stem == "hard_argmax" and why == "preset=":
            continue
        with pytest.raises(InputError, match=f"{why}.*") as error:
            seeds.check(path, count, others)
        assert "Received: " in str(error.value)


def test_results_go_where_out_says_and_are_compared(
    monkeypatch, tmp_path, capsys
):
    run = {
        "config": {"preset": "fast"},
        "environment": {},
        "accuracy": {"sum": 0.75},
        "calibration_error": {},
        "mean_absolute_error": {},
        "training_seconds": 3.0,
    }
    monkeypatch.setattr(seeds, "_run", lambda *arguments: dict(run))
    monkeypatch.setattr(seeds, "RESULTS", tmp_path)
    stored = {"n": 2, "mean_std": {"sum": [74.5, 0.1]}}
    (tmp_path / "fast.json").write_text(json.dumps(stored))
    out = tmp_path / "other.json"
    arguments = ["fast", "--out", str(out), "--preset", "fast"]
    assert seeds.main(arguments) == 0
    assert json.loads(out.read_text())["mean_std"]["sum"] == [75.0, 0.0]
    assert json.loads((tmp_path / "fast.json").read_text()) == stored
    assert (
        "(n = 3)  +0.500 to 74.500 ± 0.100 (n = 2)" in capsys.readouterr().out
    )


def test_results_that_cannot_be_written_are_refused(tmp_path, capsys):
    assert seeds.main(["fast", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
