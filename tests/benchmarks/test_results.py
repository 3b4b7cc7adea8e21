"""Rows of docs/results.md: measured over seeds, repeated, and begun."""

import dataclasses
import json

import pytest

from benchmarks import __main__
from benchmarks import harness
from benchmarks.accuracy import results
from benchmarks.accuracy import starts
from benchmarks.report import pages
from keras_mnist_sum import presets
from keras_mnist_sum.commands import cli
from keras_mnist_sum.commands import train
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import DivergedError
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.utils import environment

ROWS = [
    path
    for path in sorted(harness.RESULTS.glob("*.json"))
    if '"flags"' in path.read_text()
]


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_flags_of_a_stored_row_mean_today_what_they_meant(path):
    row = json.loads(path.read_text())
    assert row["command"].endswith(" ".join(row["flags"]))
    assert row["command"].split()[4:7] == [path.stem, "--seeds", str(row["n"])]
    parser = cli.ArgumentParser()
    train.add_arguments(parser)
    given = parser.parse_args(row["flags"])
    config = cli.config_of(given, presets.get(given.preset).config)
    written = row["config"]
    if "test_time_shift" not in written:  # By the first edition, or before.
        written = {"average_shift": 0, **written}
    begun = Config.from_json(json.dumps(written))
    assert dataclasses.replace(begun, data=config.data) == config


def run(seed, accuracy=0.99, **facts):
    return {
        "seed": seed,
        "images": 100,
        "accuracy": {"sum": accuracy},
        "interval": {"sum": [accuracy - 0.01, accuracy + 0.01]},
        "calibration_error": {},
        "mean_absolute_error": {},
        "training_seconds": 3.0,
        "config": {"preset": "fast", "width": 32},
        "environment": {**environment.facts(), **facts},
    }


def row(n=3, accuracy=0.99, std=0.1, **facts):
    """As a file of results has it."""
    found = [run(seed, accuracy, **facts) for seed in range(n)]
    config, environment = found[0]["config"], found[0]["environment"]
    row = {"config": config, "environment": environment, "flags": FLAGS}
    row |= results.summary(found)
    row["mean_std"]["sum"][1] = std
    return row


FLAGS = ["--preset", "fast"]


def fake_runs(monkeypatch, **how):
    """Has each seed take no time; the seeds that were run are returned."""
    seeds = []

    def train(folder, flags, seed):
        seeds.append(seed)
        return run(seed, **how)

    monkeypatch.setattr(results, "_train", train)
    return seeds


def measure(out, *arguments):
    return __main__.main(["results", "some", "--out", str(out), *arguments])


def test_seeds_that_a_row_lacks_are_run(monkeypatch, tmp_path, capsys):
    out, seeds = tmp_path / "some.json", fake_runs(monkeypatch)
    assert measure(out, "--seeds", "2", *FLAGS) == 0
    report = json.loads(out.read_text())
    command = "python -m benchmarks results some --seeds 2 --preset fast"
    assert report["command"] == command and report["n"] == 2
    assert report["mean_std"]["sum"] == [99.0, 0.0]
    assert report["interval_over_images"] == {"sum": [98.0, 100.0]}
    assert measure(out, "--seeds", "3") == 0  # The row knows its flags.
    assert seeds == [0, 1, 2]
    report = json.loads(out.read_text())
    assert [x["seed"] for x in report["runs"]] == [0, 1, 2]
    assert "config" not in report["runs"][2]
    assert "99   stored           99  +0.0 %" in capsys.readouterr().out


def test_interrupted_row_keeps_the_seeds_that_it_has(monkeypatch, tmp_path):
    out = tmp_path / "some.json"

    def train(folder, flags, seed):
        if seed == 1:
            raise SystemExit(143)
        return run(seed)

    monkeypatch.setattr(results, "_train", train)
    with pytest.raises(SystemExit):
        measure(out, "--seeds", "3", *FLAGS)
    seeds = fake_runs(monkeypatch)
    assert measure(out, "--seeds", "3") == 0
    assert seeds == [1, 2]


@pytest.mark.parametrize(
    "arguments, facts, why",
    [
        (["--seeds", "4", "--width", "5"], {}, "of another recipe"),
        (["--seeds", "4"], {"processor": "another"}, "processor 'another'"),
        (["--seeds", "2"], {}, "n = 2, where "),
        (["--check", "--width", "5"], {}, "with its flags"),
    ],
)
def test_runs_of_another_kind_are_not_added(
    arguments, facts, why, monkeypatch, tmp_path, capsys
):
    out = tmp_path / "some.json"
    before = json.dumps(row())
    out.write_text(before)
    fake_runs(monkeypatch, **facts)
    assert measure(out, *arguments) == 2
    error = capsys.readouterr().err
    assert why in error and error.count("\n") == 1
    assert out.read_text() == before


def test_run_says_what_it_found_and_not_where(tmp_path):
    place = Run(tmp_path / "run")
    place.path.mkdir()
    config = dataclasses.replace(presets.get("fast").config, seed=7)
    place.config.write_text(config.to_json())
    teachers = [{"path": str(tmp_path), "sha256": "0a"}]
    place.results.write_text(json.dumps({"steps": 3, "teachers": teachers}))
    place.environment.write_text('{"command": ["train.py"], "cores": 2}')
    found = results.read_run(place.path)
    assert (found["seed"], found["steps"]) == (7, 3)
    assert found["environment"] == {"cores": 2}
    assert not {"seed", "data_dir"} & found["config"].keys()
    assert str(tmp_path) not in json.dumps(found)


@pytest.mark.parametrize(
    "flags",
    [
        ["--out", "."],
        ["--jobs", "1000"],
        ["--check"],
        ["--check", "--compare", str(harness.RESULTS / "scaling.json")],
        ["--out", str(harness.RESULTS / "scaling.json")],
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


def check(stored, tmp_path, *arguments):
    path = tmp_path / "stored.json"
    path.write_text(json.dumps(stored))
    flags = ["--check", "--smoke", "--compare", str(path), *FLAGS]
    return __main__.main(["results", "some", *flags, *arguments])


def test_same_machine_agrees_to_the_last_answer(monkeypatch, tmp_path, capsys):
    fake_runs(monkeypatch, accuracy=0.99)
    assert check(row(), tmp_path) == 0
    fake_runs(monkeypatch, accuracy=0.98999)
    assert check(row(), tmp_path) == 1
    said = capsys.readouterr().out
    assert "expected the same answers" in said and "DISAGREES" in said


def test_row_is_repeated_only_if_its_flags_give_its_config(
    monkeypatch, tmp_path, capsys
):
    fake_runs(monkeypatch)
    stored = row()
    stored["config"]["width"] += 1
    assert check(stored, tmp_path) == 2
    assert "Received: some, width 32, not 33" in capsys.readouterr().err


def test_other_machine_agrees_within_standard_errors(
    monkeypatch, tmp_path, capsys
):
    def agrees(accuracy, **how):
        fake_runs(monkeypatch, accuracy=accuracy)
        return check(row(processor="another", **how), tmp_path) == 0

    assert agrees(0.9880)
    assert ", not 'another')" in capsys.readouterr().out
    assert not agrees(0.9860)
    # Of one seed: by the deviation over 100 images, which is 1 %.
    assert agrees(0.96, n=1)
    assert not agrees(0.93, n=1)


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
    again = ["results", "tiny", "--check", "--seeds", "1", "--out", str(out)]
    assert __main__.main(again) == 0
    assert "expected the same answers" in capsys.readouterr().out
    report["runs"][0]["accuracy"]["sum"] += 0.001
    out.write_text(json.dumps(report))
    assert __main__.main(again) == 1


@pytest.mark.slow
def test_starts_are_counted(tmp_path):
    out = tmp_path / "starts.json"
    flags = ["--data", "sample", "--preset", "fast", "--out", str(out)]
    command = ["starts", "some", "--seeds", "2", "--stop-after", "4"]
    assert __main__.main([*command, "--jobs", "2", *flags]) == 0
    report = json.loads(out.read_text())
    assert (report["n"], report["diverged"]) == (2, 0)
    assert len(report["digit_percent"]) == 2
    shares = report["digit_percent"]
    assert report["learned"] == sum(share > 20 for share in shares)


def test_diverged_start_is_told(monkeypatch, tmp_path):
    from keras_mnist_sum.training import train as training

    def diverge(*arguments, **keywords):
        raise DivergedError("The run has diverged. Received: nan")

    monkeypatch.setattr(training, "train", diverge)
    text = presets.get("fast").config.to_json()
    start = starts.Start().train(text, 3, str(tmp_path / "run"))
    assert start == {"accuracy": None}
