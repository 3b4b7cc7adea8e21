"""A model that learns from labels and from teachers."""

import dataclasses
import json
import signal

import keras
import numpy as np
import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training.distillation import teach
from keras_mnist_sum.training.optimization import compile_model
from keras_mnist_sum.training.process import seeded
from keras_mnist_sum.training.train import train
from tests import interrupted
from tests.distribution import ways_to_train

TINY = dict(backbone="small", width=2, steps=6, batch_size=10)


def model_of(seed, **settings):
    """With answers of its own, whatever its layers."""
    draw = np.random.default_rng(seed)
    with seeded(seed, False):
        model = build_model(Config(**{**TINY, **settings}))
    model.set_weights(
        [x + abs(draw.normal(0, 0.1, x.shape)) for x in model.get_weights()]
    )
    return model


def batch(digits, config):
    dataset = pipeline.training_dataset(*digits, config)
    return next(dataset.take(1).as_numpy_iterator())


def loss_from(targets, predictions):
    """The mean over a batch, one example at a time."""
    if predictions.shape[-1] == 1:
        return np.mean([(t - p) ** 2 for t, p in zip(targets, predictions)])
    losses = [
        -sum(t * np.log(p) for t, p in zip(target, prediction))
        for target, prediction in zip(targets, predictions)
    ]
    return np.mean(losses)


@pytest.mark.parametrize(
    "settings, weights",
    [
        pytest.param(
            {},
            {"digit": 1, "sum": 1, "difference": 1},
            marks=pytest.mark.slow,
        ),
        (
            {"loss_weights": {"sum": 3.0}, "supervise": ("digit", "sum")},
            {"digit": 1, "sum": 3, "difference": 0},
        ),
        ({"head": "regression"}, {"digit": 1, "sum": 1, "difference": 1}),
    ],
)
def test_loss_is_from_labels_and_from_the_mean_of_the_teachers(
    digits, settings, weights
):
    """In training; validation is of the labels alone, so that runs compare."""
    config = Config(distillation_weight=0.4, **settings, **TINY)
    inputs, targets = batch(digits, config)
    model = compile_model(model_of(0, **settings), config)
    teachers = [model_of(1, **settings), model_of(2, **settings)]
    answers = [teacher(inputs) for teacher in teachers]
    predictions = model(inputs)
    of_labels = model.compute_loss(inputs, targets, predictions)
    teach(model, teachers, config)

    expected = 0
    for name, weight in weights.items():
        labels, found = targets[name], predictions[name].numpy()
        if labels.ndim == 1:
            labels = np.eye(found.shape[-1])[labels]
        mean = (answers[0][name].numpy() + answers[1][name].numpy()) / 2
        expected += 0.6 * weight * loss_from(labels, found)
        expected += 0.4 * weight * loss_from(mean, found)
    found = model.compute_loss(inputs, targets, predictions)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert abs(found / of_labels - 1) > 0.01
    found = model.compute_loss(inputs, targets, predictions, training=False)
    np.testing.assert_allclose(found, of_labels, rtol=1e-6)


def test_teachers_change_the_loss_of_outputs_alone(digits):
    """Not what regularizers add to it, as layers do by `add_loss`."""
    config = Config(distillation_weight=0.4, **TINY)
    inputs, targets = batch(digits, config)
    model = compile_model(model_of(0), config)
    teach(model, [model_of(1)], config)
    kernel, losses = model.trainable_variables[0], []
    for strength in (0.0, 8.0):
        kernel.regularizer = keras.regularizers.L2(strength)
        losses.append(model.compute_loss(inputs, targets, model(inputs)))
    penalty = 8 * np.sum(kernel.numpy() ** 2)
    np.testing.assert_allclose(losses[1] - losses[0], penalty, rtol=1e-3)


@pytest.mark.parametrize(
    "precision, teacher, same",
    [
        # Without dropout, and without shifts, which take five times as long.
        pytest.param(
            "float32",
            {"backbone": "dropout"},
            {"backbone": "dropout"},
            marks=pytest.mark.slow,
        ),
        ("float32", {"test_time_shift": 1}, {}),
        pytest.param(
            "float32", {"precision": "bfloat16"}, {}, marks=pytest.mark.slow
        ),
        ("bfloat16", {}, {"precision": "bfloat16"}),
    ],
)
def test_teachers_answer_the_image_itself_in_the_precision_of_the_run(
    digits, precision, teacher, same
):
    config = Config(distillation_weight=1.0, precision=precision, **TINY)
    inputs, targets = batch(digits, config)
    model = compile_model(model_of(0), config)
    predictions = model(inputs)
    teach(model, [model_of(1, **teacher)], config)
    found = model.compute_loss(inputs, targets, predictions)
    expected = sum(
        loss_from(x.numpy(), predictions[name].numpy())
        for name, x in model_of(1, **same)(inputs).items()
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


class Observe(keras.callbacks.Callback):
    """Remembers the first weights."""

    def on_train_begin(self, logs=None):
        self.first = self.model.get_weights()


@pytest.mark.slow
def test_student_is_what_it_is_without_teachers(npz, tmp_path):
    """Its first weights and its layers; the run says which teachers it had, and
    they stay as they are."""
    config = Config(data=str(npz), **TINY)
    model_of(1).save(tmp_path / "one.keras")
    teacher, run = model_of(2), Run(tmp_path / "run")
    before = teacher.get_weights()
    given = [str(tmp_path / "one.keras"), teacher]
    look = Observe()
    named = {"verbose": 0, "callbacks": [look]}
    results = train(config, run.path, teachers=given, **named)
    with seeded(0, True):
        expected = build_model(config)
    for found, same in zip(look.first, expected.get_weights(), strict=True):
        np.testing.assert_array_equal(found, same)
    assert results["steps"] == 6
    assert results["parameters"] == expected.count_params()
    assert [x["path"] for x in results["teachers"]] == [
        given[0],
        "a model in memory",
    ]
    written = json.loads(run.config.read_text())
    sha256 = [x["sha256"] for x in results["teachers"]]
    assert written["teachers_sha256"] == sha256
    assert results["distillation_weight"] == 0.7
    layers = [layer.name for layer in load_model(run.path).layers]
    assert layers == [layer.name for layer in expected.layers]
    for found, same in zip(teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, same)


def test_run_goes_on_with_the_teachers_that_it_began_with_alone(npz, tmp_path):
    config = Config(data=str(npz), **TINY)
    begun = dataclasses.replace(config, teachers_sha256=("ab", "cd"))
    for began_with, given in ((begun, []), (begun, [0]), (config, [0])):
        Run(tmp_path).config.write_text(began_with.to_json())
        teachers = [build_model(config) for _ in given]
        with pytest.raises(InputError, match="`teachers` must be those.*Rec"):
            train(config, tmp_path, teachers=teachers)


def test_weight_without_teachers_is_refused(npz, tmp_path):
    config = Config(data=str(npz), distillation_weight=0.5, **TINY)
    with pytest.raises(InputError, match="nothing without teachers.*Received"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_config_without_teachers_is_written_as_before():
    text = Config().to_json()
    assert "teacher" not in text and "distillation" not in text
    config = Config(teachers_sha256=("ab", "c"), distillation_weight=0.5)
    assert Config.from_json(config.to_json()) == config


@pytest.fixture
def refused(tmp_path):
    """What is no teacher, by name, and what is said of it."""
    build_model(Config(**TINY)).save(tmp_path / "one.keras")
    (tmp_path / "copy.keras").write_bytes((tmp_path / "one.keras").read_bytes())
    (tmp_path / "text.keras").write_text("no model")
    Run(tmp_path / "begun").path.mkdir()
    Run(tmp_path / "begun").config.write_text(Config(**TINY).to_json())
    model = build_model(Config(**TINY))
    return {
        "a path": (str(tmp_path / "one.keras"), "must be a list"),
        "a model": (model, "must be a list"),
        "nothing": ([None], "A model is a run directory"),
        "missing": ([tmp_path / "no.keras"], "which does not exist"),
        "no model": ([tmp_path / "text.keras"], "no Keras file"),
        "not finished": ([tmp_path / "begun"], "was not finished"),
        "twice": ([model, model], "must be different models"),
        "copied": (
            [tmp_path / "one.keras", tmp_path / "copy.keras"],
            "must be different models",
        ),
        "other task": ([model_of(1, difference="signed")], "of the run's task"),
        "fewer outputs": (
            [model_of(1, outputs=("digit", "sum"))],
            "of the run's task",
        ),
        "values": ([model_of(1, head="regression")], "must give values where"),
        "another layer": ([keras.Sequential([keras.Input((3,))])], "A model"),
    }


def test_what_is_no_teacher_is_refused_in_a_line_before_any_work(
    refused, npz, tmp_path
):
    config = Config(data=str(npz), **TINY)
    for name, (teachers, message) in refused.items():
        with pytest.raises(InputError, match="Received: ") as error:
            train(config, tmp_path / "run", teachers=teachers)
        assert message in str(error.value), name
        assert "\n" not in str(error.value), name
        assert not (tmp_path / "run").exists()


@pytest.fixture
def teachers(npz, tmp_path):
    """The paths of two `.keras` files."""
    paths = [tmp_path / "one.keras", tmp_path / "two.keras"]
    for seed, path in enumerate(paths):
        model_of(seed).save(path)
    return paths


@pytest.mark.slow
@pytest.mark.parametrize("float64", [True, False])
def test_same_weights_on_one_device_two_devices_and_two_workers(
    npz, tmp_path, teachers, float64
):
    config = Config(
        data=str(npz),
        validation_fraction=0.22,
        **{**TINY, "steps": 30, "batch_size": 8},
    )
    expected = None
    for way in ("one device", "two devices", "two workers"):
        weights, losses, codes = ways_to_train.train(
            way, config, tmp_path / way, float64, teachers=teachers
        )
        assert set(codes) == {0}
        if expected is None:
            expected = weights[0], losses
        exact = {"rtol": 0, "atol": 1e-12 if float64 else 1e-4}
        for each in weights:
            np.testing.assert_allclose(each, expected[0], **exact)
        np.testing.assert_allclose(
            losses, expected[1], rtol=1e-12 if float64 else 1e-3
        )
    alone, _, _ = ways_to_train.train(
        "one device", config, tmp_path / "alone", float64
    )
    assert np.abs(alone[0] - expected[0]).max() > 1e-3


def end_of(run_dir):
    run = Run(run_dir)
    weights = b"".join(x.tobytes() for x in load_model(run.path).get_weights())
    return weights, run.read_results()["correct"]


@pytest.mark.slow
def test_killed_run_goes_on_to_the_same_bits(npz, tmp_path, teachers):
    config = Config(data=str(npz), **{**TINY, "backbone": "dropout"})
    named = {"every": 2, "before": ways_to_train.Teach(teachers)}
    assert interrupted.run(config, tmp_path / "whole", **named) == 0
    for steps in (3, 2):
        kill = (interrupted.signal_at_step, steps, signal.SIGKILL)
        code = interrupted.run(config, tmp_path / "killed", *kill, **named)
        assert code == -signal.SIGKILL
    assert interrupted.run(config, tmp_path / "killed", **named) == 0
    assert end_of(tmp_path / "killed") == end_of(tmp_path / "whole")
