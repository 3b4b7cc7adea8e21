import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_mnist_sum import __main__ as main
from keras_mnist_sum import presets
from keras_mnist_sum.commands import cli
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.task import DIFFERENCES
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils import atomic_files

STEP = 3


@pytest.fixture
def drawn(monkeypatch):
    """What `image_grids.batch` was asked to draw."""
    calls = []
    draw = image_grids.batch
    monkeypatch.setattr(
        image_grids, "batch", lambda *of: calls.append(of) or draw(*of)
    )
    return calls


def batch_in_training(config, npz):
    """The batch that a run reaches after `STEP` others."""
    split = load_mnist(str(npz)).split(config.validation_fraction)
    batches = pipeline.training_dataset(split.images, split.labels, config)
    return list(batches.take(STEP + 1).as_numpy_iterator())[STEP]


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_show_data_draws_exactly_the_batch_that_a_run_trains_on(
    npz, tmp_path, drawn, capsys, difference
):
    path = tmp_path / "new" / "data.png"
    arguments = ["--data", npz, "--batch-size", 45, "--steps", 9, "--seed", 4]
    arguments += ["--difference", difference, "--step", STEP, "--out", path]
    arguments += ["--outputs", "difference,product,digit", "--rotation", 0.3]
    assert main.main(["show-data", *map(str, arguments)]) == 0
    outputs = ("difference", "product", "digit")
    config = dataclasses.replace(
        presets.get(presets.DEFAULT).config,
        batch_size=45,
        steps=9,
        seed=4,
        difference=difference,
        outputs=outputs,
        rotation=0.3,
    )
    inputs, targets = batch_in_training(config, npz)
    [(images, numbers, values, title)] = drawn
    np.testing.assert_array_equal(images, inputs["image"])
    np.testing.assert_array_equal(np.eye(10)[numbers], inputs["number"])
    assert tuple(values) == outputs
    for name, output in Task.named(outputs, difference).items():
        classes = [output.values.index(value) for value in values[name]]
        np.testing.assert_array_equal(classes, targets[name])
    assert path.read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    assert out == f"written  {path}: {title}\n"
    assert "40 of 45 examples of batch 3 of 9" in title and "seed 4" in title


def test_picture_shows_image_number_and_targets(npz):
    config = dataclasses.replace(presets.get("residual").config, batch_size=10)
    inputs, targets = pipeline.batch(load_mnist(str(npz)), config, 0)
    numbers = inputs["number"].argmax(axis=1)
    figure = image_grids.batch(inputs["image"], numbers, targets, "which")
    assert isinstance(figure, Figure) and "which" in figure.get_suptitle()
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 10
    for i, axes in enumerate(shown):
        pixels = axes.images[0].get_array()
        np.testing.assert_array_equal(pixels, inputs["image"][i, ..., 0])
        assert " ".join(text.get_text() for text in axes.texts) == (
            f"number {numbers[i]} "
            f"digit {targets['digit'][i]}, sum {targets['sum'][i]} "
            f"difference {targets['difference'][i]}"
        )


def test_batch_of_a_run_is_drawn_from_its_config(
    npz, tmp_path, drawn, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    config = dataclasses.replace(
        presets.get("fast").config,
        head="regression",
        batch_size=8,
        seed=7,
        data=str(npz),
    )
    atomic_files.write_text(tmp_path / "run" / "config.json", config.to_json())
    assert main.main(["show-data", "run", "--step", str(STEP)]) == 0
    inputs, targets = batch_in_training(config, npz)
    [(images, _, values, _)] = drawn
    np.testing.assert_array_equal(images, inputs["image"])
    np.testing.assert_array_equal(values["sum"], targets["sum"][:, 0])
    assert (tmp_path / "batch-3.png").is_file()


def test_length_of_a_run_may_be_given_in_epochs(npz, tmp_path, drawn):
    arguments = ["show-data", "--data", str(npz), "--batch-size", "10"]
    arguments += ["--out", str(tmp_path / "data.png"), "--epochs", "4"]
    arguments += ["--validation-fraction", "0.2"]
    assert main.main([*arguments, "--step", "15"]) == 0
    [(_, _, _, title)] = drawn
    assert "batch 15 of 16" in title
    assert main.main([*arguments, "--step", "16"]) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--step", "1500"], "0 to 1499. Received: step=1500"),
        (["--step", "-1"], "Received: step=-1"),
        (["--preset", "best"], "Received: preset='best'"),
        (["--batch-size", "51"], "Received: batch_size=51"),
        (["--data", "nowhere"], "which does not exist"),
        (["--out", "."], "must be a file that can be written"),
        (["--out", "{npz}"], "mnist.npz"),
        (["nowhere"], "Received: 'nowhere/config.json'"),
        (["nowhere", "--preset", "fast"], "has a preset of its own"),
        (["--difference", "modulo"], "Received: difference='modulo'"),
        (["--outputs", "digit,quotient"], "Received: 'quotient'"),
    ],
)
def test_wrong_show_data_input_is_one_line_and_writes_nothing(
    npz, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    arguments = [x.format(npz=npz) for x in arguments]
    if "--data" not in arguments:
        arguments = ["--data", str(npz), *arguments]
    if "--batch-size" not in arguments:
        arguments = ["--batch-size", "8", *arguments]
    assert main.main(["show-data", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_step_that_the_run_has_not_is_refused_before_data_is_read(
    monkeypatch, capsys
):
    """And before anything is said of the data."""
    monkeypatch.setattr(cli, "load_data", pytest.fail)
    assert main.main(["show-data", "--step", "-1"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "Received: step=-1" in said.err
