"""Rows of docs/results.md: measured over seeds, repeated, and begun."""

import argparse
import dataclasses
import json

import pytest

from benchmarks import __main__
from benchmarks import harness
from benchmarks.accuracy import many_runs
from benchmarks.accuracy import results
from benchmarks.report import pages
from keras_mnist_sum import presets
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.utils import environment

STORED = [
    path
    for path in sorted(harness.RESULTS.glob("*.json"))
    if "mean_std" in path.read_text()
]


FAST = dataclasses.replace(presets.get("fast").config, precision="float32")


def values_of(*arguments):
    return harness.parse(results, list(arguments))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_results_are_replaced_by_the_same_runs_alone(path):
    stored = json.loads(path.read_text())
    row, flags, n = path.stem, stored["command"].split()[2:], stored["n"]
    preset = stored["config"]["preset"]
    assert results.flags_of(stored)[: len(flags)] == flags
    for count in (n, n + 1):
        values = values_of(row, *flags)
        values.seeds, values.steps = count, None
        results.check(values, results.config_of(results.flags_of(stored)))
    for count, others, why in (
        (n - 1, flags, "n = "),
        (n, [*flags, "--preset", "hard_argmax"], "preset="),
        (n, [*flags, "--width", "5"], "width="),
        (n, ["--preset", preset, "--epochs", "1.5"], "steps="),
    ):
        if row == "hard_argmax" and why == "preset=":
            continue
        values.seeds = count
        with pytest.raises(InputError, match=f"{why}.*") as error:
            results.check(values, results.config_of(others))
        assert "Received: " in str(error.value)


def test_starts_of_a_stored_row_have_a_file_of_their_own(
    monkeypatch, tmp_path, capsys
):
    found = {"n": 2, "config": FAST.to_dict(), "runs": [], "environment": {}}
    monkeypatch.setattr(
        results, "starts", lambda config, values: {**found, "steps": 3}
    )
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    stored = json.dumps(row(accuracy=99.0, std=0.1))
    (tmp_path / "fast.json").write_text(stored)
    command = ["results", "fast", "--starts", "2", "--steps", "3"]
    for _ in range(2):
        assert __main__.main(command) == 0
    report = json.loads((tmp_path / "fast_starts.json").read_text())
    assert report["steps"] == 3
    assert (tmp_path / "fast.json").read_text() == stored
    for others in (["--steps", "4"], ["--starts", "1"], ["--width", "5"]):
        assert __main__.main([*command, *others]) == 2
        assert "not replaced" in capsys.readouterr().err


def keep_run(folder, config, seed):
    """Writes what a finished run of 640 images leaves."""
    run = Run(folder / f"some-{seed}")
    run.path.mkdir()
    begun = dataclasses.replace(
        config.with_steps(640), precision="float32", seed=seed
    )
    run.config.write_text(begun.to_json())
    found = {
        "steps": begun.steps,
        "epochs": begun.steps * 64 / 640,
        "teachers": [{"path": str(folder), "sha256": "0a"}],
    }
    run.results.write_text(json.dumps(found))
    run.environment.write_text('{"command": "python train.py"}')
    return run


def test_kept_runs_are_counted_if_they_are_of_the_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(many_runs.subprocess, "run", pytest.fail)
    values = argparse.Namespace(row="some", keep=tmp_path, jobs=1)
    config = dataclasses.replace(
        FAST, precision="auto", batch_size=64, epochs=2.0
    )
    for seed in range(2):
        keep_run(tmp_path, config, seed)
    found = many_runs.runs(range(2), [], config, values)
    assert [run["seed"] for run in found] == [0, 1]
    assert found[1]["config"]["steps"] == 20
    assert str(tmp_path) not in json.dumps(found)
    for others in ({"epochs": 3.0}, {"width": 5}, {"learning_rate": 0.5}):
        other = dataclasses.replace(config, **others)
        with pytest.raises(InputError, match="recipe.*Received: .*some-0"):
            many_runs.runs(range(2), [], other, values)
    (tmp_path / "some-1").rename(tmp_path / "some-2")
    with pytest.raises(InputError, match="some-2.*seed=1, not 2"):
        many_runs.runs(range(2, 3), [], config, values)


def test_results_go_where_out_says_and_are_compared(
    monkeypatch, tmp_path, capsys
):
    run = {
        "config": {"preset": "fast"},
        "environment": {"cores": 2},
        "accuracy": {"sum": 0.75},
        "interval": {"sum": [0.74, 0.76]},
        "calibration_error": {},
        "mean_absolute_error": {},
        "training_seconds": 3.0,
    }
    monkeypatch.setattr(
        results, "runs", lambda seeds, *rest: [dict(run) for _ in seeds]
    )
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    stored = {"n": 2, "mean_std": {"sum": [74.5, 0.1]}}
    (tmp_path / "fast.json").write_text(json.dumps(stored))
    out = tmp_path / "other.json"
    arguments = ["results", "fast", "--out", str(out), "--preset", "fast"]
    arguments += ["--compare", str(tmp_path / "fast.json")]
    assert __main__.main(arguments) == 0
    report = json.loads(out.read_text())
    assert report["mean_std"]["sum"] == [75.0, 0.0]
    assert report["interval_over_images"] == {"sum": [74.0, 76.0]}
    assert report["command"] == "python train.py --preset fast"
    assert json.loads((tmp_path / "fast.json").read_text()) == stored
    assert "75   stored         74.5  +0.7 %" in capsys.readouterr().out


def test_seeds_are_added_to_a_row_of_such_a_machine(
    monkeypatch, tmp_path, capsys
):
    out = tmp_path / "some.json"
    rest = {"calibration_error": {}, "mean_absolute_error": {}}
    stored = row(accuracy=99.0, std=0.1, n=2)
    for run in stored["runs"]:
        run.update(rest)
    del stored["config"]["train_teachers"]  # It came later.

    def measure(seeds, flags, config, values):
        written = json.loads(config.to_json())
        del written["data_dir"], written["seed"]
        found = {"accuracy": {"sum": 0.96}, "config": written, **rest}
        return [{"seed": s, "environment": {}, **found} for s in seeds]

    monkeypatch.setattr(results, "runs", measure)
    command = ["results", "some", "--add", "--seeds", "3", "--out", str(out)]
    command += stored["command"].split()[2:]
    assert __main__.main(command) == 2
    assert "which is not there" in capsys.readouterr().err
    out.write_text(json.dumps(stored))
    assert __main__.main(command) == 0
    report = json.loads(out.read_text())
    assert [run["seed"] for run in report["runs"]] == [0, 1, 2]
    assert report["mean_std"]["sum"][0] == 98.0
    stored["environment"]["packages"]["keras"] = "2.0"
    before = json.dumps(stored)
    out.write_text(before)
    assert __main__.main(command) == 2
    assert "keras 2.0 then" in capsys.readouterr().err
    assert out.read_text() == before


@pytest.mark.parametrize(
    "flags",
    [
        ["--out", "."],
        ["--starts", "3"],
        ["--jobs", "1000"],
        ["--run-dir", "x"],
        ["--no-such-flag"],
        ["--check"],
        ["--check", "--compare", str(harness.RESULTS / "growth.json")],
        ["--out", str(harness.RESULTS / "serving.json")],
    ],
)
def test_wrong_flags_get_one_line(flags, capsys):
    out = [] if "--out" in flags else ["--smoke"]
    try:
        code = __main__.main(["results", "no_such_row", *flags, *out])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


def row(accuracy, std, n=3, **facts):
    runs = [
        {"seed": seed, "images": 100, "accuracy": {"sum": accuracy / 100}}
        for seed in range(n)
    ]
    return {
        "command": "python train.py --preset fast --precision float32",
        "n": n,
        "mean_std": {"sum": [accuracy, std]},
        "config": FAST.to_dict(),
        "environment": {**environment.facts(), **facts},
        "runs": runs,
    }


def agreement(monkeypatch, stored, accuracy, seeds=1):
    again = [{"seed": s, "accuracy": {"sum": accuracy}} for s in range(seeds)]
    monkeypatch.setattr(results, "runs", lambda *arguments: again)
    values = values_of("some", "--check", "--smoke")
    values.seeds = seeds
    return results.agreement(stored, values)


def test_same_machine_agrees_to_the_last_answer(monkeypatch, capsys):
    stored = row(accuracy=99.0, std=0.1)
    assert agreement(monkeypatch, stored, 0.99) == 0
    assert agreement(monkeypatch, stored, 0.98999) == 1
    said = capsys.readouterr().out
    assert "expected the same answers" in said and "DISAGREES" in said


def test_row_is_repeated_only_if_its_flags_give_its_config(monkeypatch, capsys):
    """And takes no flags beside these."""
    stored = row(accuracy=99.0, std=0.1)
    stored["config"]["width"] += 1
    with pytest.raises(InputError, match="flags.*Received: .*width="):
        agreement(monkeypatch, stored, 0.99)
    for flags in (["--width", "5"], ["--steps", "5"]):
        assert __main__.main(["results", "--check", "fast", *flags]) == 2
        error = capsys.readouterr().err
        assert "leave out others" in error and error.count("\n") == 1


def test_other_machine_agrees_within_standard_errors(monkeypatch, capsys):
    stored = row(accuracy=99.0, std=0.1, processor="another")
    assert agreement(monkeypatch, stored, 0.9880) == 0
    assert "processor another then" in capsys.readouterr().out
    assert agreement(monkeypatch, stored, 0.9860) == 1
    # Of one seed: by the deviation over 100 images, which is 1 %.
    one = row(accuracy=99.0, std=0.0, n=1, processor="another")
    assert agreement(monkeypatch, one, 0.96) == 0
    assert agreement(monkeypatch, one, 0.93) == 1


def test_interval_over_images_has_a_column_where_it_is_stored(monkeypatch):
    report = json.loads((harness.RESULTS / "fast.json").read_text())
    report.pop("interval_over_images", None)
    monkeypatch.setattr(pages, "_load", lambda name: report)
    before = pages.fill("<!-- table: fast -->\n<!-- end -->")
    assert "over images" not in before
    report["interval_over_images"] = {"all": [98.9, 99.3]}
    after = pages.fill("<!-- table: fast -->\n<!-- end -->")
    assert "| 95 % over images |" in after and "| 98.90 to 99.30 |" in after


@pytest.mark.slow
def test_row_is_measured_and_repeated(tmp_path, capsys):
    out = tmp_path / "tiny.json"
    flags = ["--data", "sample", "--preset", "fast", "--epochs", "0.3"]
    first = ["results", "tiny", "--seeds", "1", "--out", str(out), *flags]
    assert __main__.main(first) == 0
    report = json.loads(out.read_text())
    low, high = report["interval_over_images"]["all"]
    assert low < report["mean_std"]["all"][0] < high
    check = ["results", "--check", "tiny", "--compare", str(out)]
    assert __main__.main(check) == 0
    assert "expected the same answers" in capsys.readouterr().out
    report["runs"][0]["accuracy"]["sum"] += 0.001
    out.write_text(json.dumps(report))
    assert __main__.main(check) == 1


@pytest.mark.slow
def test_starts_are_counted(tmp_path):
    out = tmp_path / "starts.json"
    flags = ["--data", "sample", "--preset", "fast", "--out", str(out)]
    command = ["results", "some", "--starts", "1", "--steps", "4", *flags]
    assert __main__.main(command) == 0
    report = json.loads(out.read_text())
    assert (report["n"], report["steps"], report["diverged"]) == (1, 4, 0)
    assert len(report["digit_percent"]) == 1
    assert report["learned"] == (report["digit_percent"][0] > 20)


def test_diverged_start_is_told(monkeypatch, tmp_path):
    from keras_mnist_sum import presets
    from keras_mnist_sum.training import train as training

    def diverge(*arguments, **keywords):
        raise many_runs.DivergedError("The run has diverged. Received: nan")

    monkeypatch.setattr(training, "train", diverge)
    text = json.dumps(presets.get("fast").config.to_dict())
    start = many_runs.Start().train(text, 3, str(tmp_path / "run"))
    assert start == {"diverged": True}
