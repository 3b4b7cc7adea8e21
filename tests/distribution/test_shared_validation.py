"""Held-out images are scored by shares, to the figures of one process."""

import json
import os
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.distribution.cluster import find_cluster
from keras_mnist_sum.distribution.devices import find_devices
from keras_mnist_sum.distribution.shared_validation import SharedValidation
from keras_mnist_sum.training import train as training
from keras_mnist_sum.training.optimization import compile_model
from tests import interrupted
from tests.distribution.ways_to_train import build_in_float64


class Extremes(keras.metrics.Metric):
    """No sum over examples gives what this gives."""

    def __init__(self, name="extremes", **named):
        super().__init__(name=name, **named)
        self.most = self.add_variable((), "zeros", name="most")
        self.seen = self.add_variable((), "zeros", name="seen")

    def update_state(self, targets, outputs, sample_weight=None):
        most = keras.ops.max(outputs)
        self.most.assign(keras.ops.maximum(self.most, most))
        self.seen.assign_add(keras.ops.shape(outputs)[0])

    def result(self):
        return {"most": self.most, "seen": self.seen}


def mean_of_batch(targets, outputs):
    return keras.ops.mean(keras.ops.max(outputs, axis=-1))


class CountsImages(keras.layers.Layer):
    """Passes its input on, and logs how many images it has seen."""

    def build(self, shape):
        self.seen = keras.metrics.Sum(name="seen_by_layer")

    def call(self, inputs):
        self.seen.update_state(keras.ops.shape(inputs)[0])
        return inputs


class AddsLoss(keras.layers.Layer):
    def call(self, inputs):
        self.add_loss(keras.ops.max(inputs))
        return inputs


LAYERS = {"counts": CountsImages, "adds loss": AddsLoss}


class Record(keras.callbacks.Callback):
    """What is logged of validation, and how many images each replica gets at
    once: pairs of its number and that."""

    def __init__(self):
        super().__init__()
        self.shares, self.batches, self.validates = set(), [], False
        compute = keras.layers.Conv2D.call

        def call(layer, inputs):
            if context := tf.distribute.get_replica_context():
                size = tf.shape(inputs)[0]
                replica = context.replica_id_in_sync_group
                tf.numpy_function(self.see, [replica, size], [])
            return compute(layer, inputs)

        keras.layers.Conv2D.call = call

    def see(self, replica, size):
        if self.validates:
            self.shares.add((int(replica), int(size)))

    def on_test_begin(self, logs=None):
        self.validates = True

    def on_test_batch_end(self, batch, logs=None):
        self.batches.append(logs)

    def on_test_end(self, logs=None):
        self.validates = False


class Observe:
    """Has a process train in float64, write what `Record` has of an epoch, and
    its weights, into a folder, and end."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self):
        cluster, record, work = find_cluster(), Record(), training.train
        path = self.folder / f"{cluster.worker if cluster else 0}"

        def end(epoch, logs):
            np.savez(f"{path}.npz", *record.model.get_weights())
            shares = sorted(record.shares)
            path.write_text(json.dumps([record.batches, logs, shares]))
            # Who ends sooner may take along what the other still receives.
            workers = len(cluster.addresses) if cluster else 1
            paths = [self.folder / f"{x}" for x in range(workers)]
            last = time.monotonic() + 60
            while time.monotonic() < last and not all(
                path.exists() for path in paths
            ):
                time.sleep(0.01)
            os._exit(0)

        def train(config, run_dir, **named):
            named["callbacks"] = [
                record,
                keras.callbacks.LambdaCallback(on_epoch_end=end),
            ]
            # Metrics that are objects would compute before workers connect.
            named["metrics"] = {"digit": mean_of_batch}
            return work(config, run_dir, **named)

        training.build_model = build_in_float64
        training.train = train


def held_out(config):
    split = load_mnist(config.data).split(config.validation_fraction)
    return pipeline.validation_dataset(
        split.validation_images, split.validation_labels, config
    )


def build(config, layer, extra, devices=None):
    """A compiled model in float64, whose answers have no ties."""
    keras.utils.set_random_seed(0)
    strategy = (devices or find_devices("single")).strategy
    with strategy.scope():
        model = build_in_float64(config)
        if layer:
            image = model.input["image"]
            inputs = {**model.input, "image": LAYERS[layer]()(image)}
            model = keras.Model(model.input, model(inputs))
        model = devices.adapt(model) if devices else model
        compile_model(model, config, metrics=extra)
    noise = np.random.default_rng(0)
    weights = model.get_weights()
    model.set_weights([x + noise.random(x.shape) for x in weights])
    return model


def score_alone(model, dataset):
    """What one process logs of held-out images, after each batch."""
    batches = []
    keep = keras.callbacks.LambdaCallback(
        on_test_batch_end=lambda batch, logs: batches.append(logs)
    )
    model.evaluate(dataset, callbacks=[keep], verbose=0)
    return batches


def penalized(model):
    """With a loss that is of no output."""
    model.trainable_weights[0].regularizer = keras.regularizers.L2(0.1)
    return model


def score_both(config, path, cpus, layer):
    """Scores on one device, and on several; writes what was logged."""
    interrupted.split("CPU", cpus)
    keras.config.set_floatx("float64")
    extra = {"digit": [Extremes(), mean_of_batch]}
    dataset = held_out(config)
    model = penalized(build(config, layer, extra))
    expected = score_alone(model, dataset)
    model = penalized(build(config, layer, extra, find_devices("mirrored")))
    with model.distribute_strategy.scope():
        model._symbolic_build(data_batch=next(iter(dataset)))
    record = Record()
    callbacks = keras.callbacks.CallbackList([record], model=model)
    logs = SharedValidation(model, dataset)(callbacks)
    logs = {name: float(value) for name, value in logs.items()}
    shares = sorted(record.shares)
    path.write_text(json.dumps([expected, record.batches, logs, shares]))


@pytest.fixture
def config(digits, tmp_path):
    """501 images to train on, and as many for validation: two batches, of 500
    and of a single one."""
    images, labels = (np.resize(x, (1002, *x.shape[1:])) for x in digits)
    np.savez(
        tmp_path / "mnist.npz",
        x_train=images,
        y_train=labels,
        x_test=images[:10],
        y_test=labels[:10],
    )
    return Config(
        data=str(tmp_path / "mnist.npz"),
        validation_fraction=0.5,
        backbone="small",
        width=2,
        steps=6,
        batch_size=96,
    )


def assert_same(batches, expected):
    for found, other in zip(batches, expected, strict=True):
        assert sorted(found) == sorted(other)
        for name, value in found.items():
            exact = 0 if "accuracy" in name else 1e-12
            assert value == pytest.approx(other[name], exact, 0), name


@pytest.mark.parametrize(
    "cpus, layer, shares",
    [
        (2, None, [[0, 1], [0, 250], [1, 1], [1, 250]]),
        pytest.param(
            3,
            None,
            [[0, 1], [0, 166], [1, 1], [1, 167], [2, 1], [2, 167]],
            marks=pytest.mark.slow,
        ),
        # Layers that count what they see must see all.
        pytest.param(2, "counts", None, marks=pytest.mark.slow),
        pytest.param(2, "adds loss", None, marks=pytest.mark.slow),
    ],
)
def test_replicas_score_shares_to_the_figures_of_one_device(
    config, tmp_path, cpus, layer, shares
):
    """After each batch, and of metrics that are no sums, too."""
    path = tmp_path / "logs.json"
    process = interrupted.CONTEXT.Process(
        target=score_both, args=(config, path, cpus, layer)
    )
    process.start()
    process.join(300)
    assert process.exitcode == 0
    expected, batches, logs, seen = json.loads(path.read_text())
    assert seen == shares or layer
    assert_same(batches, expected)
    assert logs == {f"val_{name}": x for name, x in batches[-1].items()}


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_run_logs_the_figures_of_one_process(
    config, tmp_path, float64, workers
):
    """On two devices, and in two workers, which have the same weights."""
    named = {"before": Observe(tmp_path)}
    if workers == 1:
        named |= {"strategy": "mirrored", "cpus": 2}
        processes = [interrupted.start(config, tmp_path / "run", **named)]
    else:
        processes = interrupted.start_workers(
            config, tmp_path / "run", workers, **named
        )
    model = build(config, None, {"digit": mean_of_batch})
    shares, weights = [], []
    for worker, process in enumerate(processes):
        process.join(300)
        assert process.exitcode == 0
        batches, logs, seen = json.loads((tmp_path / f"{worker}").read_text())
        with np.load(tmp_path / f"{worker}.npz") as archive:
            weights.append([archive[name] for name in archive])
        model.set_weights(weights[0])
        assert_same(batches, score_alone(model, held_out(config)))
        last = {f"val_{name}": x for name, x in batches[-1].items()}
        assert last.items() <= logs.items()
        shares += seen
    assert sorted(shares) == [[0, 1], [0, 250], [1, 1], [1, 250]]
    for array, other in zip(weights[0], weights[-1], strict=True):
        np.testing.assert_array_equal(array, other)
