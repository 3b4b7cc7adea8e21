import dataclasses
import json

import numpy as np
import pytest

import train
from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data import sources
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats import open
from keras_mnist_sum.formats.keras_file import load_model
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training import train as training
from keras_mnist_sum.training.optimization import compile_model

TINY = dict(width=4, steps=6, batch_size=10)


@pytest.mark.parametrize("deterministic", [True, False])
def test_run_computes_deterministically_unless_told_not_to(
    npz, tmp_path, monkeypatch, deterministic
):
    calls = []
    monkeypatch.setattr(
        training.tf.config.experimental,
        "enable_op_determinism",
        lambda: calls.append(True),
    )
    monkeypatch.setattr(training, "fit", lambda *arguments: 0.0)
    monkeypatch.setattr(training, "finish", lambda *arguments: 1 / 0)
    config = Config(data=str(npz), deterministic=deterministic, **TINY)
    with pytest.raises(ZeroDivisionError):
        training.train(config, tmp_path / "run", verbose=0)
    assert calls == [True] * deterministic


def test_run_has_the_data_that_it_began_with(npz, tmp_path):
    """Also where `auto` would find others now, or none."""
    begun = Config(data=str(npz), **TINY)
    report = training.train(begun, tmp_path, verbose=0)
    asked = dataclasses.replace(begun, data="auto")
    assert training.train(asked, tmp_path, verbose=0) == report


@pytest.mark.parametrize("validation_fraction", [0.0, 0.2])
def test_run_says_what_it_used_and_can_be_opened_from_anywhere(
    npz, tmp_path, monkeypatch, validation_fraction
):
    monkeypatch.chdir(npz.parent)
    config = Config(
        data="mnist.npz", validation_fraction=validation_fraction, **TINY
    )
    report = training.train(config, tmp_path / "run", verbose=0)
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == report
    assert report["pairs"] == 500 and report["steps"] == 6
    header = (tmp_path / "run" / "history.csv").read_text().splitlines()[0]
    assert ("val_digit_loss" in header) == (validation_fraction > 0)
    monkeypatch.chdir("/")
    for part in ("", "model.keras", "saved_model", "saved_model/1"):
        target = open.open_target(tmp_path / "run" / part)
        assert target.config.data == str(npz)
        assert len(sources.load_mnist(target.config.data).test_images) == 50


def test_regression_is_opened_with_its_run_alone(npz, tmp_path):
    """Its values do not tell which difference they are; its run does."""
    config = Config(
        data=str(npz), head="regression", difference="signed", **TINY
    )
    run_dir = tmp_path / "run"
    report = training.train(config, run_dir, verbose=0)
    assert set(report["mean_absolute_error"]) == {"sum", "difference"}
    for part in ("", "model.keras", "saved_model", "saved_model/1"):
        assert open.open_target(run_dir / part).difference == "signed"
    (run_dir / "config.json").unlink()
    for part in ("model.keras", "saved_model"):
        with pytest.raises(InputError, match="name the run.*Received:"):
            open.open_target(run_dir / part)


def test_unrelated_config_beside_a_model_is_left_alone(tmp_path):
    build_model(Config(width=4)).save(tmp_path / "mine.keras")
    (tmp_path / "config.json").write_text("someone else's")
    assert open.open_target(tmp_path / "mine.keras").config is None


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_run_in_half_precision_is_served_in_float32(npz, tmp_path, precision):
    config = Config(data=str(npz), precision=precision, **TINY)
    training.train(config, tmp_path / "run", verbose=0)
    model = load_model(tmp_path / "run" / "model.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_run_says_as_much_as_it_was_asked_to(
    npz, tmp_path, capsys, monkeypatch, verbose
):
    """But warns in any case; logs get one line an epoch, and no more."""
    load = sources.load_mnist

    def load_mnist(*of, **named):
        mnist = load(*of, **named)
        return dataclasses.replace(mnist, warning="this is no MNIST")

    monkeypatch.setattr(training, "load_mnist", load_mnist)
    monkeypatch.chdir(tmp_path)
    flags = ["--data", str(npz), "--steps", "6", "--batch-size", "10"]
    flags += ["--preset", "fast", "--run-dir", "run"]
    assert train.main([*flags, "--verbose", str(verbose)]) == 0
    said = capsys.readouterr()
    if verbose == 0:
        assert said.out == ""
        assert said.err == "WARNING: this is no MNIST\n"
        return
    assert said.err == "" and "WARNING: this is no MNIST\n" in said.out
    lines = [x for x in said.out.splitlines() if x.startswith("epoch ")]
    assert len(lines) == 2
    assert all(("%" in line) == (verbose == 2) for line in lines)
    assert "\r" not in said.out


def test_other_verbosity_is_refused_before_any_work(npz, tmp_path):
    with pytest.raises(InputError, match="0, 1 or 2. Received: verbose=3"):
        training.train(Config(data=str(npz)), tmp_path / "run", verbose=3)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("head", ["table", "regression"])
def test_training_step_is_traced_once(digits, head):
    """Tracing it again, to create variables, would cost seconds."""
    config = Config(head=head, **TINY)
    model = compile_model(build_model(config), config)
    traced = []
    step = model.train_step
    model.train_step = lambda data: traced.append(data) or step(data)
    variables = {id(variable) for variable in model.variables}
    dataset = pipeline.training_dataset(*digits, config)
    model.fit(dataset, verbose=0, shuffle=False)
    assert len(traced) == 1
    assert {id(variable) for variable in model.variables} == variables


def test_compiled_model_has_seen_nothing(digits):
    config = Config(**TINY)
    model = compile_model(build_model(config), config)
    counted = [v for metric in model.metrics for v in metric.variables]
    assert counted and not any(np.any(variable) for variable in counted)
    assert int(model.optimizer.iterations) == 0


@pytest.mark.slow
def test_short_run_on_the_sample_reads_digits_and_knows_arithmetic(tmp_path):
    fast = presets.get("fast").config
    config = dataclasses.replace(fast, data="sample")
    report = training.train(config, tmp_path / "run", verbose=0)
    assert report["accuracy"]["digit"] > 0.97
    assert report["table_cells_right"]["sum"] >= 95
    assert report["table_cells_right"]["difference"] >= 95
