import dataclasses
import json
import logging
import random
import signal

import keras
import numpy as np
import pytest
from tensorflow.python.framework.config import is_op_determinism_enabled

import train
from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data import sources
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.evaluate import evaluate
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.backbones import BACKBONES
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.training import train as training
from keras_mnist_sum.training.optimization import compile_model

TINY = dict(backbone="small", width=4, steps=6, batch_size=10)
RESULTS = (
    "data data_sha256 images pairs correct all_correct contradictory "
    "calibration_error "
    "negative_log_likelihood brier_score mean_absolute_error interval accuracy "
    "validation table_cells_right parameters multiply_adds "
    "steps epochs training_seconds"
).split()


class Look(keras.callbacks.Callback):
    """Calls `see` after each step."""

    def __init__(self, see):
        super().__init__()
        self.see = see

    def on_train_batch_end(self, batch, logs=None):
        self.see()


@pytest.mark.parametrize("deterministic", [True, False])
def test_run_computes_deterministically_unless_told_not_to(
    npz, tmp_path, deterministic
):
    """And the process is afterwards what it was before."""
    found = []
    look = Look(lambda: found.append(is_op_determinism_enabled()))
    config = Config(data=str(npz), deterministic=deterministic, **TINY)
    before = is_op_determinism_enabled()
    training.train(config, tmp_path / "run", callbacks=[look], verbose=0)
    assert found == [deterministic] * 6
    assert is_op_determinism_enabled() == before


def test_process_is_afterwards_what_it_was_before(npz, tmp_path):
    """Random numbers, logging, handlers of signals, the precision."""
    logger = logging.getLogger("keras_mnist_sum")

    def state():
        return (
            random.getstate(),
            np.random.get_state()[1].tolist(),
            keras.config.dtype_policy().name,
            (logger.level, list(logger.handlers), logger.propagate),
            [signal.getsignal(x) for x in StopRequests.SIGNALS],
        )

    keras.utils.set_random_seed(5)
    expected = keras.random.uniform((3,))
    keras.utils.set_random_seed(5)
    before = state()
    config = Config(data=str(npz), seed=1, precision="bfloat16", **TINY)
    training.train(config, tmp_path / "run", verbose=1)
    assert state() == before
    np.testing.assert_array_equal(keras.random.uniform((3,)), expected)


def test_run_has_the_data_that_it_began_with(npz, tmp_path):
    """Also where `auto` would find others now, or none."""
    begun = Config(data=str(npz), **TINY)
    report = training.train(begun, tmp_path, verbose=0)
    asked = dataclasses.replace(begun, data="auto")
    assert training.train(asked, tmp_path, verbose=0) == report


@pytest.mark.parametrize(
    "validation_fraction", [pytest.param(0.0, marks=pytest.mark.slow), 0.2]
)
def test_run_says_what_it_used_and_can_be_opened_from_anywhere(
    npz, tmp_path, monkeypatch, validation_fraction
):
    monkeypatch.chdir(npz.parent)
    config = Config(
        data="mnist.npz", validation_fraction=validation_fraction, **TINY
    )
    report = training.train(config, tmp_path / "run", verbose=0)
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == report
    assert list(report) == RESULTS
    assert report["pairs"] == 500 and report["steps"] == 6
    header = (tmp_path / "run" / "history.csv").read_text().splitlines()[0]
    assert ("val_digit_loss" in header) == (validation_fraction > 0)
    monkeypatch.chdir("/")
    for part in ("model.keras", "saved_model", "saved_model/1"):
        assert open_model(tmp_path / "run" / part).task == config.task
    opened = open_model(tmp_path / "run")
    assert opened.config.data == str(npz)
    assert len(sources.load_mnist(opened.config.data).test_images) == 50


@pytest.mark.slow
def test_regression_says_which_difference_it_computes(npz, tmp_path):
    """Also without its run."""
    config = Config(
        data=str(npz), head="regression", difference="signed", **TINY
    )
    run_dir = tmp_path / "run"
    report = training.train(config, run_dir, verbose=0)
    assert set(report["mean_absolute_error"]) == {"sum", "difference"}
    for part in ("", "model.keras", "saved_model", "saved_model/1"):
        assert open_model(run_dir / part).task == config.task


def test_unrelated_config_beside_a_model_is_left_alone(tmp_path):
    build_model(Config(width=4)).save(tmp_path / "mine.keras")
    (tmp_path / "config.json").write_text("someone else's")
    assert open_model(tmp_path / "mine.keras").config is None


@pytest.mark.slow
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


@pytest.mark.slow
def test_arrays_of_the_user_train_and_test(digits, npz, tmp_path):
    """As the same images from a file do."""
    images, labels = digits
    config = Config(data=str(npz), **TINY)
    expected = training.train(config, tmp_path / "file", verbose=0)
    results = training.train(
        Config(**TINY),
        tmp_path / "arrays",
        data=(images, labels, images, labels),
        verbose=0,
    )
    assert results["accuracy"] == expected["accuracy"]
    assert Run(tmp_path / "arrays").read_config().data == "arrays"
    weights = [
        load_model(Run(tmp_path / name).model).get_weights()
        for name in ("file", "arrays")
    ]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_results_are_those_of_the_saved_model_in_any_precision(
    digits, tmp_path
):
    """What bfloat16 rounds otherwise is scored as it is saved: in float32."""
    sample = load_mnist("sample", test_only=True)
    results = training.train(
        Config(precision="bfloat16", **TINY),
        tmp_path,
        data=(*digits, sample.test_images, sample.test_labels),
        verbose=0,
    )
    scores = evaluate(tmp_path, sample)
    assert results["correct"] == scores.correct
    assert results["calibration_error"] == scores.calibration_error


def test_arrays_that_are_no_images_are_refused_before_any_work(
    digits, tmp_path
):
    images, labels = digits
    data = (images - 128.0, labels, images, labels)
    with pytest.raises(InputError, match="must lie in 0-255.*Received"):
        training.train(Config(**TINY), tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()


def test_epochs_become_steps(npz, tmp_path):
    """50 images in batches of 10, without validation."""
    config = Config(
        data=str(npz),
        validation_fraction=0.0,
        **{**TINY, "epochs": 2.0, "steps": 99},
    )
    results = training.train(config, tmp_path, verbose=0)
    assert results["steps"] == 10 and results["epochs"] == 2.0
    begun = Run(tmp_path).read_config()
    assert begun.steps == 10 and begun.epochs is None
    assert training.train(config, tmp_path, verbose=0) == results


@pytest.mark.slow
def test_model_to_go_on_from_is_the_start_and_stays_as_it_is(
    npz, tmp_path, capsys
):
    config = Config(data=str(npz), learning_rate=1e-9, **TINY)
    start = build_model(dataclasses.replace(config, seed=7))
    before = [array.copy() for array in start.get_weights()]
    training.train(config, tmp_path, model=start)
    assert "model  the given one: " in capsys.readouterr().out
    for array, same in zip(start.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, same)
    trained = load_model(Run(tmp_path).model)
    for weight, old in zip(
        trained.trainable_weights, start.trainable_weights, strict=True
    ):
        np.testing.assert_allclose(weight, old, atol=1e-6)
    start.save(tmp_path / "start.keras")


@pytest.mark.slow
def test_trained_model_is_trained_further(npz, tmp_path):
    config = Config(data=str(npz), precision="auto", **TINY)
    training.train(config, tmp_path / "first", verbose=0)
    model = load_model(Run(tmp_path / "first").model)
    results = training.train(
        config, tmp_path / "second", model=model, verbose=0
    )
    assert results["steps"] == 6
    assert Run(tmp_path / "second").read_config().precision == "float32"


def test_run_goes_on_with_the_model_it_began_with_alone(npz, tmp_path):
    config = Config(data=str(npz), **TINY)

    def fail():
        if list(Run(tmp_path).checkpoints.glob("*.ckpt")):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        training.train(
            config,
            tmp_path,
            model=build_model(config),
            callbacks=[Look(fail)],
            checkpoint_every=1,
            verbose=0,
        )
    with pytest.raises(InputError, match="`model` must be the one.*Received"):
        training.train(config, tmp_path, verbose=0)


@pytest.mark.parametrize(
    "changes, asked, message",
    [
        ({"difference": "signed"}, {}, "must be one of the run's task"),
        ({"head": "regression"}, {}, "`head` must be 'regression'"),
        ({"precision": "bfloat16"}, {}, "or that of `model`, bfloat16"),
        ({}, {"outputs": ("digit",)}, "must be one of the run's task"),
    ],
)
def test_model_that_does_not_fit_the_run_is_refused_before_any_work(
    npz, tmp_path, changes, asked, message
):
    config = Config(data=str(npz), **asked, **TINY)
    model = build_model(Config(**changes, **TINY))
    with pytest.raises(InputError, match=f"{message}.*Received"):
        training.train(config, tmp_path / "run", model=model)
    assert not (tmp_path / "run").exists()


def test_model_that_could_not_be_loaded_is_refused_before_any_work(
    npz, tmp_path, monkeypatch
):
    def unlisted(image, width):
        return keras.layers.Dense(10)(keras.ops.reshape(image, (-1, 784)))

    monkeypatch.setitem(BACKBONES, "small", unlisted)
    config = Config(data=str(npz), **TINY)
    with pytest.raises(InputError, match="allow_layer.*Received"):
        training.train(config, tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


def test_picture_that_fails_loses_no_results(npz, tmp_path, monkeypatch):
    """It is drawn by the next call, which trains nothing."""
    config = Config(data=str(npz), **TINY)
    with monkeypatch.context() as patch:
        patch.setattr(image_grids, "overview", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            training.train(config, tmp_path, verbose=0)
    run = Run(tmp_path)
    results = json.loads(run.results.read_text())
    assert run.is_scored and not run.is_finished
    times = {path: path.stat().st_mtime_ns for path in (run.model, run.results)}
    step = Look(lambda: pytest.fail("a step"))
    assert (
        training.train(config, tmp_path, callbacks=[step], verbose=0) == results
    )
    assert run.is_finished and not run.checkpoints.exists()
    assert times == {path: path.stat().st_mtime_ns for path in times}


@pytest.mark.parametrize(
    "named, message",
    [
        ({"callbacks": [print]}, "must be Keras callbacks"),
        ({"task": ["digit"]}, "must be a `Task`"),
        ({"checkpoint_every": 0}, "must be an integer >= 1"),
        ({"verbose": 3}, "0, 1 or 2"),
        ({"strategy": "many"}, "`strategy` must be one of"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_before_any_work(
    npz, tmp_path, named, message
):
    config = Config(data=str(npz), **TINY)
    with pytest.raises(InputError, match=f"{message}.*Received"):
        training.train(config, tmp_path / "run", **named)
    assert not (tmp_path / "run").exists()
