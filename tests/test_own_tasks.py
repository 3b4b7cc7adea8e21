"""A task of one's own works from training to every exported file.

Each test is what a user could write: public names, no edit of the package.
"""

import base64
import json

import numpy as np
import pytest

import evaluate
import train as train_command
from keras_mnist_sum import Config
from keras_mnist_sum import Predictor
from keras_mnist_sum import Task
from keras_mnist_sum import load_model
from keras_mnist_sum import train
from keras_mnist_sum.__main__ import main
from keras_mnist_sum.demo.server import facts
from keras_mnist_sum.formats.open import FORMATS
from keras_mnist_sum.formats.open import open_model

TASKS = {
    "product added": Task(
        digit=lambda d, n: d,
        sum=lambda d, n: d + n,
        difference=lambda d, n: abs(d - n),
        product=lambda d, n: d * n,
    ),
    "greater in the place of difference": Task(
        digit=lambda d, n: d,
        sum=lambda d, n: d + n,
        greater=lambda d, n: d > n,
    ),
    "digit and sum alone": Task(digit=lambda d, n: d, sum=lambda d, n: d + n),
    "another order": Task(
        remainder=lambda d, n: d % (n + 1), digit=lambda d, n: d
    ),
}
TINY = dict(backbone="small", width=2, batch_size=10, validation_fraction=0.2)


FIRST, *OTHERS = TASKS
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in OTHERS]


@pytest.fixture(scope="module", params=[FIRST, *OTHERS])
def trained(request, digits, tmp_path_factory):
    """`(task, run_dir, results, data)` of a run of a few steps."""
    folder = tmp_path_factory.mktemp("own")
    data, (images, labels) = folder / "mnist.npz", digits
    np.savez(data, x_train=images, y_train=labels, x_test=images, y_test=labels)
    task = TASKS[request.param]
    config = Config(data=str(data), steps=8, **TINY)
    results = train(
        config, folder / "run", task=task, tensorboard=True, verbose=0
    )
    return task, folder / "run", results, data


def test_training_learns_and_scores_every_output(trained):
    task, run_dir, results, _ = trained
    assert set(results["accuracy"]) == {*task, "all"}
    assert list(results["correct"]) == list(task)
    assert set(results["table_cells_right"]) == {*task} - {"digit"}
    header = (run_dir / "history.csv").read_text().splitlines()[0].split(",")
    for name in task:
        assert f"{name}_loss" in header and f"val_{name}_accuracy" in header
    assert json.loads((run_dir / "results.json").read_text()) == results
    for picture in ("overview.png", "curves.png"):
        assert (run_dir / picture).stat().st_size > 10_000


def test_model_has_the_outputs_and_loads_again(trained):
    task, run_dir, _, _ = trained
    model = load_model(run_dir / "model.keras")
    assert {name: x.shape[1] for name, x in model.output.items()} == {
        name: output.num_classes for name, output in task.items()
    }
    assert open_model(run_dir).task == task


def test_evaluation_reports_every_output(trained, tmp_path, capsys):
    task, run_dir, results, _ = trained
    report, scores = tmp_path / "report", tmp_path / "scores.json"
    arguments = [str(run_dir), "--json", str(scores), "--report", str(report)]
    assert evaluate.main(arguments) == 0
    assert json.loads(scores.read_text())["correct"] == results["correct"]
    page = (report / "index.html").read_text()
    said = capsys.readouterr().out
    for name in task:
        assert name in page and name in said
        assert (report / f"confusion_{name}.png").is_file()


def test_tensorboard_shows_every_output(trained):
    from tensorboard.backend.event_processing import event_accumulator

    task, run_dir, _, _ = trained
    tags = set()
    for path in sorted((run_dir / "tensorboard").iterdir()):
        found = event_accumulator.EventAccumulator(str(path)).Reload()
        tags |= set(found.Tags()["tensors"])
    for name in task:
        assert {f"loss/{name}/train", f"accuracy/{name}/train"} <= tags
        assert name == "digit" or f"tables/{name}" in tags


def test_predictor_and_demo_answer_every_output(trained, digits):
    task, run_dir, _, _ = trained
    answer = Predictor.load(run_dir)(digits[0][3], 4)
    assert list(answer.values) == list(task)
    for name in task:
        assert getattr(answer, name) == answer.values[name]
        assert answer.values[name] in task[name].values
    sent = facts(answer)
    assert sent["values"] == answer.values
    assert len(base64.b64decode(sent["image"])) == 784


def test_predict_command_says_every_output(trained, digits, tmp_path, capsys):
    from PIL import Image

    task, run_dir, _, _ = trained
    picture = tmp_path / "digit.png"
    Image.fromarray(digits[0][3]).resize((280, 280)).save(picture)
    command = ["predict", str(picture), "--number", "4", "--model"]
    assert main([*command, str(run_dir), "--json"]) == 0
    assert set(task) <= set(json.loads(capsys.readouterr().out))
    assert main([*command, str(run_dir), "--show", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "digit.png").is_file()


@pytest.mark.parametrize("format", FORMATS)
def test_every_exported_file_computes_the_task(trained, format, tmp_path):
    task, run_dir, results, data = trained
    command = ["export", str(run_dir), "--format", format]
    assert main([*command, "--out", str(tmp_path)]) == 0
    path = tmp_path / FORMATS[format].name
    assert open_model(path).task == task
    scores = tmp_path / "scores.json"
    arguments = [str(path), "--data", str(data), "--json", str(scores)]
    assert evaluate.main(arguments) == 0
    assert json.loads(scores.read_text())["correct"] == results["correct"]


def test_command_trains_the_outputs_that_are_named(npz, tmp_path):
    command = ["--data", str(npz), "--steps", "3", "--batch-size", "10"]
    command += ["--backbone", "small", "--width", "2", "--verbose", "0"]
    outputs = ["--outputs", "digit,sum,product"]
    run_dir = tmp_path / "run"
    named = [*command, *outputs, "--run-dir", str(run_dir)]
    assert train_command.main(named) == 0
    assert open_model(run_dir).task == Task.named(("digit", "sum", "product"))
    # The same command again: the run is finished, and stays as it is.
    assert train_command.main(named) == 0
