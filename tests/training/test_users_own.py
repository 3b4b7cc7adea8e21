"""What users bring to `train`: a task of one output, a network, an optimizer,
a metric, a callback, a place. Each run goes on to the same weights."""

import csv
import dataclasses
import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.evaluate import evaluate
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.destination import destination
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.layers import ConditionalTable
from keras_mnist_sum.task import Task
from keras_mnist_sum.training import fine_tuning
from keras_mnist_sum.training import train as training
from keras_mnist_sum.training.optimization import compile_model
from keras_mnist_sum.training.optimization import optimizer_to_dict
from tests import interrupted


def weights_after(config, path, stop=None, callbacks=(), **named):
    """The weights of a run, which fails after some step and goes on, if told
    so."""
    named = {"checkpoint_every": 1, "verbose": 0, **named}
    if stop:
        with pytest.raises(ZeroDivisionError):
            fail = [*callbacks, interrupted.fail_after(stop)]
            training.train(config, path, callbacks=fail, **named)
    training.train(config, path, callbacks=callbacks, **named)
    return load_model(path).get_weights()


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def network(task, dtype="float32"):
    """A network that knows nothing of this package but its table."""
    layers = keras.layers
    image = keras.Input((28, 28, 1), name="image")
    number = keras.Input((10,), name="number")
    x = layers.Conv2D(4, 7, 7, activation="relu", dtype=dtype)(image)
    x = layers.Dense(10, dtype=dtype)(layers.Flatten(dtype=dtype)(x))
    digit = layers.Activation("softmax", dtype="float32", name="digit")(x)
    outputs = {"digit": digit}
    for name, output in task.items():
        if name != "digit":
            table = ConditionalTable(output.num_classes, name=name)
            outputs[name] = table([digit, number])
    return keras.Model({"image": image, "number": number}, outputs)


def test_task_of_one_output_is_logged_by_its_name(config, tmp_path, capsys):
    task = Task(digit=lambda d, n: d)
    logged = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logged.append(set(logs))
    )
    whole = weights_after(
        config,
        tmp_path / "whole",
        task=task,
        metrics={"digit": keras.metrics.SparseTopKCategoricalAccuracy(3)},
        callbacks=[note],
        tensorboard=True,
        verbose=2,
    )
    own = "digit_sparse_top_k_categorical_accuracy"
    names = {"loss", "digit_loss", "digit_accuracy", own}
    assert logged[-1] == names | {f"val_{name}" for name in names}
    assert ": digit " in capsys.readouterr().out
    with open(Run(tmp_path / "whole").history) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 and names < rows[0].keys()
    assert float(rows[0]["digit_loss"]) == pytest.approx(
        float(rows[0]["loss"]), rel=1e-5
    )
    with open(Run(tmp_path / "whole").steps) as file:
        assert "digit_accuracy" in next(csv.DictReader(file))
    again = weights_after(config, tmp_path / "again", 7, task=task)
    assert_same(whole, again)


def test_network_of_your_own_learns_a_task_of_your_own(config, tmp_path):
    task = Task(digit=lambda d, n: d, product=lambda d, n: d * n)
    for name, given in {
        "product": task,
        "signed": Task.named(difference="signed"),
    }.items():
        model = network(given)
        before = model.get_weights()
        found = training.train(
            config, tmp_path / name, task=given, model=model, verbose=0
        )
        assert_same(model.get_weights(), before)
        assert set(found.accuracy) == {*given, "all"}
        # Its files say of which task it is.
        again = evaluate(tmp_path / name, str(config.data))
        assert again.accuracy() == found.accuracy
    how = {"task": task, "teachers": [network(task)], "verbose": 0}
    assert "teachers" in training.train(config, tmp_path / "taught", **how)
    with pytest.raises(InputError, match="Received: "):
        training.train(config, tmp_path / "no", model=network(task), verbose=0)


@pytest.mark.slow
def test_network_with_bfloat16_weights_goes_on_to_the_same_bits(
    config, tmp_path
):
    """So do the best ones that a callback keeps."""
    config = dataclasses.replace(config, precision="auto")
    best = {"monitor": "loss", "restore_best_weights": True, "patience": 9}
    stopping = keras.callbacks.EarlyStopping(**best)
    model = network(Task.named(), "bfloat16")
    how = {"model": model, "callbacks": [stopping], "verbose": 0}
    whole = weights_after(config, tmp_path / "whole", **how)
    assert_same(whole, weights_after(config, tmp_path / "again", 7, **how))


@pytest.mark.slow
def test_rate_that_a_callback_lowers_each_epoch_is_lowered_once(
    config, tmp_path
):
    """Also in an epoch that goes on in the middle."""
    config = dataclasses.replace(config, schedule="constant")
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    whole = weights_after(config, tmp_path / "whole", callbacks=[halve])
    again = weights_after(config, tmp_path / "again", 7, callbacks=[halve])
    assert_same(whole, again)


def test_model_of_values_and_classes_is_refused_before_any_work(
    config, tmp_path
):
    model = network(Task.named())
    value = keras.layers.Dense(1, name="sum")(model.output["digit"])
    model = keras.Model(model.input, {**model.output, "sum": value})
    for head in ("regression", "table"):
        mixed = dataclasses.replace(config, head=head)
        with pytest.raises(InputError, match="Received: values of sum alone"):
            training.train(mixed, tmp_path / "no", model=model, verbose=0)
    assert not list(tmp_path.iterdir())


def test_precision_of_a_model_within_the_model_is_that_of_the_run(config):
    inner = build_model(dataclasses.replace(config, precision="float16"))
    inputs = {
        "image": keras.Input((28, 28, 1), name="image"),
        "number": keras.Input((10,), name="number"),
    }
    outer = keras.Model(inputs, inner(inputs))
    asked = dataclasses.replace(config, precision="auto")
    assert fine_tuning.combine(asked, outer).precision == "float16"


def test_optimizer_of_several_is_refused():
    several = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.Adam(), {".*kernel": keras.optimizers.SGD(0.1)}
        )
    )
    with pytest.raises(InputError, match="`optimizer` must be one"):
        optimizer_to_dict(several)


class Watch(keras.callbacks.Callback):
    """Notes a weight after each step."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.model.trainable_weights[0].numpy())


@pytest.mark.slow
def test_averages_take_the_place_of_weights_once_at_the_end(config, tmp_path):
    def outcome(name, average, stop=None):
        optimizer = keras.optimizers.Adam(
            0.01, use_ema=average, ema_momentum=0.5
        )
        watch = Watch()
        how = {"optimizer": optimizer, "callbacks": [watch]}
        weights = weights_after(config, tmp_path / name, stop, **how)
        return weights, watch.seen

    plain, steps = outcome("plain", average=False)
    whole, same_steps = outcome("whole", average=True)
    assert_same(steps, same_steps)
    assert any((one != other).any() for one, other in zip(plain, whole))
    assert_same(whole, outcome("again", average=True, stop=7)[0])


class Largest(keras.metrics.Metric):
    """Of nothing yet, it is -infinity."""

    def __init__(self, name="largest"):
        super().__init__(name=name)
        start = keras.initializers.Constant(-np.inf)
        self.value = self.add_weight(shape=(), initializer=start)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Sees nothing."""

    def reset_state(self):
        self.value.assign(-np.inf)

    def result(self):
        return keras.ops.where(keras.ops.isfinite(self.value), self.value, 0.0)


@pytest.mark.slow
def test_metric_whose_state_is_infinite_is_no_divergence(config, tmp_path):
    whole = weights_after(
        config, tmp_path / "whole", metrics={"sum": Largest()}
    )
    again = weights_after(
        config, tmp_path / "again", 7, metrics={"sum": Largest()}
    )
    assert_same(whole, again)


@pytest.mark.parametrize(
    "callback, why",
    [
        (
            lambda run: keras.callbacks.ModelCheckpoint(f"{run}/model.keras"),
            "write elsewhere.*Received: .*model.keras",
        ),
        (
            lambda run: keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            "swap_on_epoch=False",
        ),
    ],
)
def test_callback_that_would_spoil_the_run_is_refused(
    callback, why, config, tmp_path
):
    with pytest.raises(InputError, match=why):
        training.train(
            config, tmp_path / "run", callbacks=[callback(tmp_path / "run")]
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["run[1]", "back\\slash"])
def test_place_that_tensorflow_misreads_is_refused_before_any_work(
    name, config, tmp_path
):
    with pytest.raises(InputError, match="`run_dir`.*pattern"):
        training.train(config, tmp_path / name)
    assert not (tmp_path / name).exists()
    with pytest.raises(InputError, match="SavedModel.*pattern"):
        destination(tmp_path / name, "saved_model")
    assert destination(tmp_path / name, "onnx").parent == tmp_path / name


def test_model_too_large_to_be_written_is_refused_before_any_work(
    config, tmp_path
):
    wide = dataclasses.replace(config, backbone="residual", width=512)
    with pytest.raises(InputError, match="smaller `width`"):
        training.train(wide, tmp_path / "run", verbose=0)


@pytest.mark.parametrize("name", ["val", "val_digit"])
def test_output_with_a_name_of_validation_is_refused(name):
    with pytest.raises(InputError, match=f"val_.*Received: '{name}'"):
        Task(digit=lambda d, n: d, **{name: lambda d, n: n})


def test_weight_of_a_loss_that_is_not_there_is_refused():
    config = Config(backbone="small", width=2, outputs=("digit", "sum"))
    other = Config(loss_weights={"difference": 2.0})
    with pytest.raises(InputError, match="digit, sum.*Received: difference"):
        compile_model(build_model(config), other)


def test_predictions_need_the_path_of_a_file(npz):
    model = build_model(Config(backbone="small", width=2))
    with pytest.raises(InputError, match="`predictions`.*Received: 5"):
        evaluate(model, str(npz), predictions=5)


@pytest.mark.slow
def test_models_of_other_shapes_train_on_two_devices_one_after_another(
    config, tmp_path
):
    code = f"""
    from keras_mnist_sum.utils.quiet import import_tensorflow
    import_tensorflow()
    import tensorflow as tf
    [cpu] = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    import dataclasses, json
    from keras_mnist_sum import Config, train
    config = Config.from_json({config.to_json()!r})
    for width in (2, 3, 2):
        config = dataclasses.replace(config, width=width, steps=2)
        path = {str(tmp_path)!r} + f"/{{width}}-{{config.seed}}"
        config = dataclasses.replace(config, seed=config.seed + 1)
        train(config, path, strategy="mirrored", verbose=0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*/results.json"))) == 3
    assert json.loads((tmp_path / "3-1" / "results.json").read_text())["steps"]
