"""One run with callbacks, metrics, loss weights and a rate of the user's own:
what it reports, and that it goes on to the same bits."""

import csv
import dataclasses
import io
import json

import keras
import numpy as np
import pytest

import keras_mnist_sum
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.evaluate import evaluate
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.training import fine_tuning
from keras_mnist_sum.training.callbacks.progress import EpochLines
from keras_mnist_sum.training.callbacks.progress import Progress
from keras_mnist_sum.training.results import Results
from keras_mnist_sum.training.state import RunState
from keras_mnist_sum.training.train import train
from tests import interrupted

# 40 images to train on, 5 steps an epoch; the last epoch is shorter.
CONFIG = Config(
    backbone="small",
    width=2,
    steps=32,
    batch_size=8,
    validation_fraction=0.2,
    schedule="constant",
    learning_rate=0.01,
    loss_weights={"sum": 2.0, "difference": 0.5},
)


def metrics():
    top3 = keras.metrics.SparseTopKCategoricalAccuracy(3, name="top3")
    overlap = keras.metrics.MeanIoU(10, "iou", sparse_y_pred=False)
    return {"sum": top3, "digit": ["sparse_categorical_crossentropy", overlap]}


def callbacks(folder):
    """The rate falls after epochs 2 and 4, and training ends after 5; of
    these the first is the best."""
    plateau = keras.callbacks.ReduceLROnPlateau(
        "val_loss", factor=0.5, patience=1, cooldown=2, min_delta=1e9
    )
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=4, min_delta=1e9, restore_best_weights=True
    )
    save = keras.callbacks.ModelCheckpoint(
        folder / "best.keras", "val_loss", save_best_only=True
    )
    save.min_delta = 1e9
    return [plateau, stop, save]


@pytest.fixture(scope="module")
def data(digits):
    return Mnist.from_arrays(*digits, *digits)


def run(folder, data, *others, config=CONFIG, **named):
    return train(
        config,
        folder / "run",
        data=data,
        metrics=metrics(),
        callbacks=[*callbacks(folder), *others],
        verbose=0,
        **named,
    )


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A folder with a finished run, and its results."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder, data)


def rows(folder):
    with open(Run(folder / "run").history) as file:
        found = [
            {name: float(x) for name, x in row.items()}
            for row in csv.DictReader(file)
        ]
    for row in found:
        row.pop("seconds")
    return found


def same_weights(one, other):
    arrays = [load_model(path).get_weights() for path in (one, other)]
    for first, second in zip(*arrays, strict=True):
        np.testing.assert_array_equal(first, second)


def test_results_are_a_dict_with_names_for_the_main_things(whole):
    folder, results = whole
    assert isinstance(results, keras_mnist_sum.Results)
    assert results == json.loads(json.dumps(results))
    assert results == json.loads(Run(folder / "run").results.read_text())
    assert results.accuracy == results.test.accuracy() == results["accuracy"]
    assert results.test.pairs == results["pairs"] == 500
    assert results.steps == 25 and results.epochs == 5.0
    assert results.training_seconds == results["training_seconds"] > 0


def test_validation_is_scored_as_the_test_set_is(whole, data):
    folder, results = whole
    split = data.split(CONFIG.validation_fraction)
    held_out = split.validation_images, split.validation_labels
    scores = evaluate(folder / "run", held_out)
    assert results.validation == scores
    assert results["validation"]["pairs"] == 100
    assert results["validation"]["accuracy"] == scores.accuracy()


def test_results_of_a_run_without_validation_have_none():
    assert Results(validation=None).validation is None
    assert Results().validation is None  # As of an earlier version.
    assert not Results()


def test_keras_callbacks_do_their_work_and_the_steps_taken_are_told(whole):
    folder, results = whole
    rates = [row["learning_rate"] for row in rows(folder)]
    np.testing.assert_allclose(rates, [0.01, 0.005, 0.005, 0.0025, 0.0025])
    assert [row["step"] for row in rows(folder)] == [5, 10, 15, 20, 25]
    assert results.steps == 25  # of 32
    same_weights(folder / "best.keras", Run(folder / "run").model)


def test_metrics_and_weighted_losses_are_in_the_history(whole):
    for row in rows(whole[0]):
        for of in ("", "val_"):
            np.testing.assert_allclose(
                row[f"{of}loss"],
                row[f"{of}digit_loss"]
                + 2 * row[f"{of}sum_loss"]
                + 0.5 * row[f"{of}difference_loss"],
                rtol=1e-5,
            )
            assert row[f"{of}sum_accuracy"] <= row[f"{of}sum_top3"] <= 1
            np.testing.assert_allclose(
                row[f"{of}digit_sparse_categorical_crossentropy"],
                row[f"{of}digit_loss"],
                rtol=1e-3,
            )
            assert 0 < row[f"{of}digit_iou"] <= 1


def test_steps_have_those_metrics_that_are_means(whole):
    with open(Run(whole[0] / "run").steps) as file:
        found = set(next(csv.reader(file)))
    expected = {"loss", "step", "sum_top3"}
    expected |= {"digit_sparse_categorical_crossentropy"}
    for name in CONFIG.task:
        expected |= {f"{name}_loss", f"{name}_accuracy"}
    assert found == expected


@pytest.mark.parametrize("display", [EpochLines, Progress])
def test_console_shows_metrics_of_ones_own(display):
    logs = {"loss": 1.0, "val_loss": 1.0, "sum_top3": 0.5}
    for of in ("", "val_"):
        logs |= {f"{of}sum_loss": 1.0, f"{of}sum_accuracy": 0.25}
    logs["val_sum_top3"] = 0.125
    stream = io.StringIO()
    shown = display(["sum"], RunState(steps=5, steps_per_epoch=5), stream)
    shown.on_epoch_end(0, logs)
    last = stream.getvalue().splitlines()[-1]
    assert last.endswith("sum_top3 0.5, val_sum_top3 0.125")
    assert last.count("_") == 3


@pytest.mark.slow
def test_killed_run_goes_on_with_what_its_callbacks_remember(
    whole, data, tmp_path
):
    """To the same bits: the rate, the patience, and the best weights."""

    fail = interrupted.fail_after(17)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, data, fail, checkpoint_every=1)
    results = run(tmp_path, data)
    assert rows(tmp_path) == rows(whole[0])
    assert results.steps == 25
    same_weights(Run(tmp_path / "run").model, Run(whole[0] / "run").model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "schedule, optimizer",
    [
        ("linear", None),
        ("constant", keras.optimizers.Lion(0.001, use_ema=True)),
        (
            "cosine",
            keras.optimizers.SGD(
                keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5),
                momentum=0.9,
            ),
        ),
    ],
)
def test_killed_run_goes_on_with_its_schedule_and_optimizer(
    data, tmp_path, schedule, optimizer
):
    config = dataclasses.replace(CONFIG, schedule=schedule, steps=12)

    def begin(name, *callbacks):
        return train(
            config,
            tmp_path / name / "run",
            data=data,
            optimizer=optimizer,
            callbacks=callbacks,
            checkpoint_every=3,
            verbose=0,
        )

    begin("whole")
    with pytest.raises(ZeroDivisionError):
        begin("killed", interrupted.fail_after(7))
    assert begin("killed").steps == 12
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    paths = [Run(tmp_path / x / "run").model for x in ("whole", "killed")]
    same_weights(*paths)


def test_other_data_or_model_for_a_finished_run_is_refused(whole, data):
    folder, results = whole
    assert run(folder, data) == results
    images = data.test_images.copy()
    images[0, 0, 0] += 1
    other_test = dataclasses.replace(data, test_images=images)
    other_training = dataclasses.replace(data, train_images=images)
    for other, name in ((other_test, "test"), (other_training, "training")):
        with pytest.raises(InputError, match=f"another {name} set, for"):
            run(folder, other)
    with pytest.raises(InputError, match="`model` must be the one.*Received"):
        run(folder, data, model=build_model(CONFIG))
    assert Run(folder / "run").is_finished


@pytest.mark.parametrize("relative", [False, True])
def test_file_that_changed_since_a_run_finished_is_refused(
    npz, tmp_path, monkeypatch, relative
):
    monkeypatch.chdir(npz.parent)
    asked = npz.name if relative else str(npz)
    config = Config(data=asked, **{"width": 2, "backbone": "small"})
    run = Run(tmp_path)
    begun = dataclasses.replace(config, data=str(npz))
    run.config.write_text(begun.to_json())
    for path in (run.overview, run.curves):
        path.touch()
    run.results.write_text(json.dumps({"data_sha256": {"test": "0"}}))
    with pytest.raises(InputError, match="of other data.*Received"):
        train(config, tmp_path, verbose=0)
    npz.unlink()  # Then nobody can tell.
    assert train(config, tmp_path, verbose=0)["data_sha256"]


class Fail(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        raise ZeroDivisionError


def test_run_killed_before_a_checkpoint_knows_its_model(data, tmp_path):
    model = build_model(CONFIG)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, data, Fail(), model=model)
    assert not list(Run(tmp_path / "run").checkpoints.glob("*.ckpt"))
    other = build_model(dataclasses.replace(CONFIG, seed=1))
    for wrong in (None, other):
        with pytest.raises(InputError, match="`model` must be the one"):
            run(tmp_path, data, model=wrong)
    begun = Run(tmp_path / "run").read_config()
    with pytest.raises(InputError, match="`model` must be given.*Received"):
        run(tmp_path / "new", data, config=begun)
    assert begun == fine_tuning.combine(
        dataclasses.replace(CONFIG, data="arrays"), model
    )
