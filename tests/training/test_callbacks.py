"""Callbacks of the user in a run: as Keras calls them in one `fit`."""

import csv
import json
import signal

import keras
import numpy as np
import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import Stopped
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.training import train as training
from tests import interrupted


class Record(keras.callbacks.Callback):
    """Notes every hook of training, with its number."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.logs = []

    def on_train_begin(self, logs=None):
        self.seen.append("train")

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(f"epoch {epoch}")

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(batch)

    def on_test_end(self, logs=None):
        self.seen.append("validation")

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(f"end {epoch}")
        self.logs.append(logs)

    def on_train_end(self, logs=None):
        self.seen.append("end")


WHOLE = ["train", "epoch 0", 0, 1, 2, 3, 4, "validation", "end 0"]
WHOLE += ["epoch 1", 0, 1, 2, 3, 4, "validation", "end 1"]
WHOLE += ["epoch 2", 0, 1, "validation", "end 2", "end"]


def test_callbacks_see_one_fit(config, tmp_path):
    record = Record()
    training.train(config, tmp_path, callbacks=[record], verbose=0)
    assert record.seen == WHOLE
    assert record.params["epochs"] == 3 and record.params["steps"] == 5
    assert {"loss", "sum_accuracy", "val_digit_loss"} <= set(record.logs[0])


@pytest.mark.slow
def test_callbacks_of_a_run_that_goes_on_see_the_rest(config, tmp_path):
    with pytest.raises(ZeroDivisionError):
        training.train(
            config,
            tmp_path,
            callbacks=[interrupted.fail_after(8)],
            checkpoint_every=1,
            verbose=0,
        )
    record = Record()
    training.train(config, tmp_path, callbacks=[record], verbose=0)
    rest = ["train", "epoch 1", 2, 3, 4, "validation", "end 1"]
    assert record.seen == rest + WHOLE[WHOLE.index("epoch 2") :]
    # The means of its steps are those of its epochs, over the break, too.
    run = Run(tmp_path)
    with open(run.steps) as steps, open(run.history) as epochs:
        points, rows = (list(csv.DictReader(x)) for x in (steps, epochs))
    assert [int(point["step"]) for point in points] == [*range(1, 13)]
    for name in ("loss", "sum_accuracy"):
        values = [float(point[name]) for point in points]
        means = [np.mean(values[i:j]) for i, j in ((0, 5), (5, 10), (10, 12))]
        expected = [float(row[name]) for row in rows]
        assert means == pytest.approx(expected, abs=1e-5)


def test_early_stopping_ends_the_run_which_is_then_finished(config, tmp_path):
    stop = keras.callbacks.EarlyStopping(
        "loss", patience=1, mode="max", baseline=1e9
    )
    results = training.train(config, tmp_path, callbacks=[stop], verbose=0)
    assert results["steps"] == 10 and results["epochs"] == 2.0
    run = Run(tmp_path)
    assert run.is_finished and not run.checkpoints.exists()
    with open(run.history) as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["5", "10"]
    assert json.loads(run.results.read_text()) == results
    assert training.train(config, tmp_path, verbose=0) == results


def test_training_stops_after_the_step_that_says_so(config, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    results = training.train(config, tmp_path, callbacks=[Stop()], verbose=2)
    assert results["steps"] == 3


def test_weights_set_as_training_ends_are_kept(config, tmp_path, monkeypatch):
    """As `EarlyStopping` restores the best ones; also where the process was
    killed before it wrote the model."""

    class Blank(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            self.model.set_weights([0 * x for x in self.model.get_weights()])

    with monkeypatch.context() as patch:
        patch.setattr(training, "finish", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            training.train(config, tmp_path, callbacks=[Blank()], verbose=0)
    training.train(config, tmp_path, callbacks=[Record()], verbose=0)
    model = load_model(Run(tmp_path).model)
    assert not any(np.any(array) for array in model.get_weights())


def test_what_a_callback_adds_to_the_logs_is_in_the_history(config, tmp_path):
    class Add(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["norm"] = 0.5 + epoch

    training.train(config, tmp_path, callbacks=[Add()], verbose=0)
    with open(Run(tmp_path).history) as file:
        rows = [float(row["norm"]) for row in csv.DictReader(file)]
    assert rows == [0.5, 1.5, 2.5]


@pytest.mark.slow
def test_keras_saves_models_meanwhile(config, tmp_path):
    path = tmp_path / "epoch-{epoch}.keras"
    save = keras.callbacks.ModelCheckpoint(path)
    training.train(config, tmp_path / "run", callbacks=[save], verbose=0)
    names = sorted(path.name for path in tmp_path.glob("*.keras"))
    assert names == [f"epoch-{n}.keras" for n in (1, 2, 3)]
    last = load_model(tmp_path / "epoch-3.keras").get_weights()
    trained = load_model(Run(tmp_path / "run").model).get_weights()
    for one, other in zip(last, trained, strict=True):
        np.testing.assert_array_equal(one, other)


def test_second_way_to_resume_is_refused(config, tmp_path):
    other = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(InputError, match="goes on by itself. Received"):
        training.train(config, tmp_path / "run", callbacks=[other])
    assert not (tmp_path / "run").exists()


def test_callbacks_change_no_bit(config, tmp_path):
    weights = []
    for name, callbacks in (("with", [Record()]), ("without", [])):
        run_dir = tmp_path / name
        training.train(config, run_dir, callbacks=callbacks, verbose=0)
        weights.append(load_model(Run(run_dir).model).get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_signal_in_the_last_step_is_obeyed_after_the_training(config, tmp_path):
    class Signal(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                signal.raise_signal(signal.SIGTERM)

    record = Record()
    with pytest.raises(Stopped, match="after step 12 of 12, saved"):
        training.train(
            config, tmp_path, callbacks=[Signal(), record], verbose=0
        )
    assert record.seen == WHOLE
    again = Record()
    results = training.train(config, tmp_path, callbacks=[again], verbose=0)
    assert results["steps"] == 12 and again.seen == []


class StopInOneWorker:
    """Has worker 1 stop the training in its third step."""

    def __call__(self):
        import os

        task = json.loads(os.environ["TF_CONFIG"])["task"]

        class Stop(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if task["index"] == 1 and batch == 2:
                    self.model.stop_training = True

        interrupted.observe(Stop())


@pytest.mark.slow
def test_callback_of_one_worker_stops_all(config, tmp_path):
    processes = interrupted.start_workers(
        config, tmp_path / "run", 2, before=StopInOneWorker()
    )
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]
    results = json.loads(Run(tmp_path / "run").results.read_text())
    assert results["steps"] == 3
