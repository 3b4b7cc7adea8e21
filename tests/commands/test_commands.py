"""train.py and evaluate.py, as a user meets them."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import evaluate
import train
from keras_mnist_sum import __main__
from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import tfds_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import Stopped
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.utils import atomic_files

ROOT = Path(__file__).parents[2]


def run(*command, cwd=ROOT, **env):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **env},
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run on a tiny budget, and what its command printed."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    result = run(
        "train.py", "--data", "sample", "--steps", 150, "--batch-size", 32,
        "--difference", "signed", "--seed", 5, "--run-dir", run_dir,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return run_dir, result


def test_train_writes_a_whole_run_directory(trained):
    run_dir, _ = trained
    names = {str(p.relative_to(run_dir)) for p in run_dir.rglob("*")}
    assert names >= {
        "config.json",
        "environment.json",
        "history.csv",
        "model.keras",
        "overview.png",
        "results.json",
        "saved_model/1/saved_model.pb",
    }
    assert not [name for name in names if "partial" in name]
    config = json.loads((run_dir / "config.json").read_text())
    assert config["data"] == "sample" and config["difference"] == "signed"
    environment = json.loads((run_dir / "environment.json").read_text())
    assert environment["packages"]["tensorflow"]


def test_train_says_what_a_person_needs_and_nothing_else(trained):
    run_dir, result = trained
    assert result.stderr == ""
    for text in (
        "3,800 images to train on, 200 for validation, 1,000 to test",
        "million multiply-adds",
        "epoch 2/2",
        "validation",
        "10,000 pairs",
        "all  ",
        "contradictory",
        f"python evaluate.py {run_dir}",
    ):
        assert text in result.stdout


def test_history_has_each_epoch_once(trained):
    run_dir, _ = trained
    header, *rows = (run_dir / "history.csv").read_text().splitlines()
    names = header.split(",")
    assert {"epoch", "step", "seconds", "learning_rate"} <= set(names)
    for name in ("digit", "sum", "difference"):
        for prefix in ("", "val_"):
            assert f"{prefix}{name}_loss" in names
            assert f"{prefix}{name}_accuracy" in names
    steps = [int(row.split(",")[1]) for row in rows]
    assert steps == [119, 150]


def test_tiny_run_learns(trained):
    results = json.loads((trained[0] / "results.json").read_text())
    assert results["pairs"] == 10_000 and results["images"] == 1_000
    assert results["accuracy"]["digit"] > 0.8


@pytest.mark.parametrize("part", ["", "model.keras", "saved_model"])
def test_evaluate_agrees_with_the_run_whatever_it_is_given(
    trained, part, tmp_path
):
    run_dir, _ = trained
    path = tmp_path / "results.json"
    # Only a run knows its data.
    data = ["--data", "sample"] if part else []
    result = run("evaluate.py", run_dir / part, "--json", path, *data)
    assert result.returncode == 0 and result.stderr == ""
    assert part or "WARNING" not in result.stdout
    found = json.loads(path.read_text())
    expected = json.loads((run_dir / "results.json").read_text())
    # Other batches round differently: a pair on the edge may turn.
    for name, count in expected["correct"].items():
        assert abs(found["correct"][name] - count) <= 3
    assert found["pairs"] == expected["pairs"]


def test_evaluate_takes_the_newest_run(trained):
    run_dir, _ = trained
    link = run_dir.parent / "runs"
    link.mkdir(exist_ok=True)
    (link / "mine").symlink_to(run_dir)
    result = run(ROOT / "evaluate.py", cwd=run_dir.parent, PYTHONPATH=str(ROOT))
    assert result.returncode == 0, result.stderr
    assert "runs/mine" in result.stdout


@pytest.mark.slow
def test_run_that_fell_back_to_the_sample_can_be_evaluated(
    tmp_path, monkeypatch, capsys
):
    """Where --data-dir held nothing and there was no network."""
    monkeypatch.setattr(tfds_mnist, "MIRROR", "http://mirror.invalid/")
    arguments = ["--data-dir", tmp_path / "none", "--run-dir", tmp_path / "r"]
    arguments += ["--steps", 2, "--batch-size", 8]
    assert train.main([str(argument) for argument in arguments]) == 0
    said = capsys.readouterr().out
    assert "\nWARNING: full MNIST is not here (no network)" in said
    assert evaluate.main([str(tmp_path / "r")]) == 0
    assert "WARNING" not in capsys.readouterr().out


def test_scoring_on_what_may_have_been_trained_on_is_said(
    tmp_path, digits, capsys
):
    from keras_mnist_sum.models.build import build_model

    build_model(Config(width=4)).save(tmp_path / "a.keras")
    assert evaluate.main([str(tmp_path / "a.keras"), "--data", "sample"]) == 0
    assert "may have been trained on" in capsys.readouterr().out


def test_other_run_in_the_same_directory_changes_nothing(trained, capsys):
    run_dir, _ = trained
    before = {
        p: p.stat().st_mtime_ns for p in run_dir.rglob("*") if p.is_file()
    }
    code = train.main(["--data", "sample", "--run-dir", str(run_dir)])
    assert code == 2
    assert "seed=5, not 0" in capsys.readouterr().err
    after = {p: p.stat().st_mtime_ns for p in run_dir.rglob("*") if p.is_file()}
    assert before == after


def test_run_that_diverges_is_one_line_and_exit_code_3(tmp_path, capsys):
    arguments = ["--preset", "fast", "--head", "regression", "--data", "sample"]
    arguments += ["--learning-rate", 100, "--steps", 20, "--batch-size", 8]
    arguments += ["--run-dir", tmp_path / "run"]
    assert train.main([str(argument) for argument in arguments]) == 3
    error = capsys.readouterr().err
    assert error.startswith("error: The run has diverged: try a lower")
    assert re.search(r"after step \d+, learning rate \S+\n$", error)
    assert error.count("\n") == 1


def fails_in_one_line(main, arguments, capsys):
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tfds_mnist, "MIRROR", "http://mirror.invalid/")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--preset", "best"], "Received: preset='best'"),
        (["--epochs", "0"], "Received: epochs=0"),
        (["--epochs", "1", "--steps", "1"], "--steps 1 --epochs 1"),
        (["--outputs", "digit,quotient"], "Received: 'quotient'"),
        (["--outputs", "sum"], "digit among them"),
        (["--outputs", ""], "Received: ''"),
        (["--supervise", "product"], "Received: supervise='product'"),
        (["--backbone", "spine"], "Received: backbone='spine'"),
        (["--optimizer", "adam"], "Received: optimizer='adam'"),
        (["--verbose", "3"], "Received: verbose=3"),
        (["--strategy", "multi_worker"], "name it by --run-dir"),
        (["--steps", "0"], "Received: steps=0"),
        (["--steps", "-5"], "Received: steps=-5"),
        (["--steps", "many"], "'many'"),
        (["--batch-size", "0"], "Received: batch_size=0"),
        (["--batch-size", "4001"], "Received: batch_size=4001"),
        (["--learning-rate", "-1"], "Received: learning_rate=-1"),
        (["--learning-rate", "nan"], "Received: learning_rate=nan"),
        (["--seed", "-1"], "Received: seed=-1"),
        (["--precision", "int4"], "Received: precision='int4'"),
        (["--difference", "modulo"], "Received: difference='modulo'"),
        (["--head", "tail"], "Received: head='tail'"),
        (["--speed", "9"], "--speed"),
        (["--data", "nowhere"], "which does not exist"),
        (["--data", "."], "Received: '.', where there is none"),
        (["--data", "tfds", "--data-dir", "empty"], "no network"),
        (["--run-dir", "taken"], "nothing is overwritten"),
        (["--checkpoint-every", "0"], "Received: checkpoint_every=0"),
        (["--run-dir", "taken/file/run"], "must be writable"),
        (["--run-dir", "x" * 300], "File name too long"),
        (["--data", "x" * 300], "File name too long"),
    ],
)
def test_wrong_training_input_is_one_line_and_writes_nothing(
    no_network, capsys, arguments, message
):
    os.mkdir("taken")
    Path("taken", "file").write_text("precious")
    if "--data" not in arguments:
        arguments = ["--data", "sample", *arguments]
    assert message in fails_in_one_line(train.main, arguments, capsys)
    assert [str(p) for p in Path().rglob("*")] == ["taken", "taken/file"]
    assert Path("taken", "file").read_text() == "precious"


@pytest.fixture
def started(monkeypatch):
    """Calls of `train` by the command, in place of training."""
    calls = []

    def train(config, run_dir, **settings):
        calls.append((config, run_dir, settings))
        Path(run_dir, "checkpoints").mkdir(exist_ok=True)
        raise Stopped(signal.SIGINT, "saved")

    monkeypatch.setattr("keras_mnist_sum.training.train.train", train)
    return calls


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--run-dir", "a run"],
        ["--run-dir=a run"],
        ["--run-d=a run"],
        ["--run-dir=-y"],
        ["--run-dir=two\nlines"],
        [
            "--data-dir",
            "it's here",
            "--outputs=digit,sum",
            "--no-deterministic",
        ],
    ],
)
@pytest.mark.parametrize("main", [train.main, __main__.main])
def test_stopped_run_says_how_to_go_on(
    no_network, started, capsys, main, arguments
):
    for name in ("a run", "-y", "two\nlines"):
        os.mkdir(name)
    command = ["train"] if main is __main__.main else []
    assert main([*command, *arguments]) == 130
    [line] = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("to go on: ")
    ]
    python, *words = words_of(line.removeprefix("to go on: "))
    if main is __main__.main:
        assert " ".join([python, *words[:3]]) == (
            "python -m keras_mnist_sum train"
        )
        words = words[2:]
    else:
        script, *words = words
        assert python == "python" and Path(script).samefile(ROOT / "train.py")
    assert main(words) == 130
    first, second = started
    assert first == (second[0], Path(second[1]), second[2])


def words_of(line):
    """The words of a command line, as a shell has them."""
    text = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True
    ).stdout
    return os.fsdecode(text).split("\0")[:-1]


@pytest.mark.parametrize("name", ["-y", "a run", "two\nlines"])
def test_finished_run_says_how_to_score_it(
    no_network, monkeypatch, capsys, name
):
    monkeypatch.setattr(
        "keras_mnist_sum.training.train.train", lambda *run, **settings: {1: 2}
    )
    assert train.main([f"--run-dir={name}"]) == 0
    start, line = capsys.readouterr().out.splitlines()
    assert start.startswith("start  preset residual, data auto, in ")
    _, script, *words = words_of(line.removeprefix("next "))
    assert Path(script).samefile(ROOT / "evaluate.py")
    assert evaluate.main(words) == 2
    assert f"Received: {name!r}, which does not" in capsys.readouterr().err


def test_unfinished_run_with_the_same_config_is_pointed_out(
    no_network, started, capsys
):
    config = presets.get(presets.DEFAULT).config
    # In place of auto a run says what it found.
    config = dataclasses.replace(config, data="sample", precision="float32")
    path = Path("runs", "a run", "config.json")
    atomic_files.write_text(path, config.to_json())
    assert train.main([]) == 130
    assert "to go on with it, say --run-dir 'runs/a run'" in (
        capsys.readouterr().out
    )
    assert train.main(["--run-dir", "runs/a run"]) == 130
    assert "note" not in capsys.readouterr().out
    assert train.main(["--seed", "1"]) == 130
    assert "note" not in capsys.readouterr().out


def test_run_directory_that_stays_empty_is_removed(no_network, capsys):
    assert train.main(["--data", "nowhere"]) == 2
    assert not list(Path().iterdir())


def test_flags_reach_training(no_network, started):
    arguments = ["--preset", "fast", "--width", "16", "--epochs", "3"]
    arguments += ["--outputs", "digit,sum,product", "--rotation", "0.2"]
    arguments += ["--checkpoint-every", "7", "--strategy", "single"]
    arguments += ["--verbose", "2", "--tensorboard"]
    assert train.main(arguments) == 130
    [(config, run_dir, settings)] = started
    assert config == dataclasses.replace(
        presets.get("fast").config,
        width=16,
        epochs=3.0,
        outputs=("digit", "sum", "product"),
        rotation=0.2,
    )
    assert Path(run_dir).name.startswith("fast-")
    assert settings == {
        "teachers": [],
        "strategy": "single",
        "checkpoint_every": 7,
        "verbose": 2,
        "tensorboard": True,
    }


@pytest.mark.parametrize(
    "main, arguments, line",
    [
        (train.main, ["--seed", "3"], "start  preset residual, data auto, se"),
        (evaluate.main, [], f"model  {pretrained.FOLDER / 'model.keras'}"),
        (
            __main__.main,
            ["export", "--format", "onnx", "--out", "exported"],
            f"model    {pretrained.FOLDER / 'model.keras'}",
        ),
    ],
)
def test_first_line_comes_before_tensorflow_is_imported(
    no_network, monkeypatch, capsys, main, arguments, line
):
    def ask(*what):
        raise InputError("Received: a question")

    monkeypatch.setattr("keras_mnist_sum.formats.open.import_tensorflow", ask)
    monkeypatch.setattr("keras_mnist_sum.utils.quiet.import_tensorflow", ask)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.err == "error: Received: a question\n"
    assert said.out.startswith(line) and said.out.count("\n") == 1


@pytest.mark.parametrize(
    "main, arguments",
    [
        (train.main, ["--data", "nowhere"]),
        (train.main, ["--run-dir", "taken"]),
        (train.main, ["--strategy", "magic"]),
        (evaluate.main, ["nowhere"]),
        (evaluate.main, ["--data", "nowhere"]),
        (__main__.main, ["compare", str(pretrained.FOLDER), "nowhere"]),
        (
            __main__.main,
            [*"export nowhere --format onnx --out exported".split()],
        ),
    ],
)
def test_what_can_be_refused_at_once_is_refused_in_one_line_alone(
    no_network, capsys, main, arguments
):
    os.mkdir("taken")
    Path("taken", "file").write_text("precious")
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    assert (code, said.out, said.err.count("\n")) == (2, "", 1)


def test_names_are_checked_before_tensorflow_is_imported():
    program = (
        "import sys, train\n"
        "code = train.main(['--outputs', 'digit,quotient'])\n"
        "print(code, {'tensorflow', 'keras'} & set(sys.modules))\n"
    )
    result = run("-c", program)
    assert result.stdout == "2 set()\n"
    assert result.stderr.startswith("error: `outputs` must name some of ")


def test_damaged_data_is_one_line_and_writes_nothing(
    no_network, capsys, digits, tmp_path
):
    images, labels = digits
    np.savez("ten.npz", x_train=images, y_train=labels + 1, x_test=images,
             y_test=labels)  # fmt: skip
    np.savez("narrow.npz", x_train=images[:, :, :27], y_train=labels,
             x_test=images, y_test=labels)  # fmt: skip
    Path("cut.npz").write_bytes(Path("ten.npz").read_bytes()[:1000])
    files = set(Path().iterdir())
    for name, message in {
        "ten.npz": "1 to 10",
        "narrow.npz": "(50, 28, 27)",
        "cut.npz": "Not a whole file of MNIST",
    }.items():
        arguments = ["--data", name]
        assert message in fails_in_one_line(train.main, arguments, capsys)
    assert set(Path().iterdir()) == files


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nowhere"], "which does not exist"),
        (["."], "which is none of them"),
        (["text.keras"], "Cannot read this as a model for Keras"),
        (["broken"], "Cannot read this as a SavedModel"),
        (["unfinished"], "was not finished"),
        (["other.keras"], "A model must take image"),
        (["x" * 300], "File name too long"),
        (["text.keras", "--json", "broken"], "must be a file"),
        (["text.keras", "--json", "./text.keras"], "would be replaced"),
        (["text.keras", "--json", "."], "must be a file"),
        (["text.keras", "--json", "text.keras/x"], "must be a file"),
        (["--speed"], "--speed"),
    ],
)
def test_wrong_evaluation_input_is_one_line(
    no_network, capsys, arguments, message
):
    image = keras.Input((3,), name="image")
    keras.Model(image, keras.layers.Dense(2)(image)).save("other.keras")
    Path("text.keras").write_text("no model")
    os.mkdir("broken")
    Path("broken", "saved_model.pb").write_bytes(b"no model")
    atomic_files.write_text(Path("unfinished", "config.json"), "{}")
    assert message in fails_in_one_line(evaluate.main, arguments, capsys)


def test_building_a_model_keeps_the_screen_clean():
    program = "from keras_mnist_sum import build_model; build_model()"
    result = run("-c", program)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
