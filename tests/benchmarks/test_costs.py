"""The programs that measure costs run, and the page shows what they found."""

import time

import pytest
import tensorflow as tf

from benchmarks.report import costs
from benchmarks.speed import growth
from benchmarks.speed import pipeline
from benchmarks.speed import trainee
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist

TINY = Config(width=2, batch_size=10, steps=10**6, validation_fraction=0.0)


@pytest.mark.slow
def test_waiting_is_a_share_of_the_step(npz):
    fit = pipeline.Fit(load_mnist(str(npz)), TINY, steps=20)
    found = pipeline.summary(fit.interleave(rounds=2, batches=5), 10)
    assert 0 < found["waiting_percent"] < 100
    assert found["fit_images_per_second"] > 0
    assert len(found["cost_percent_of_rounds"]) == 2


def test_slow_input_is_seen_as_waiting(npz, monkeypatch):
    """By far most of the time, if a batch takes as long as ten steps."""
    fit = pipeline.Fit(load_mnist(str(npz)), TINY, steps=6)
    fit.share_of_waiting()  # Traces.
    quick = fit.batches

    def slow():
        def wait(*batch):
            tf.py_function(lambda: time.sleep(0.2), [], [])
            return batch

        return quick().map(wait)

    monkeypatch.setattr(fit, "batches", slow)
    assert fit.share_of_waiting() > 0.5


def small(npz):
    changes = {"width": 2, "batch_size": 10, "validation_fraction": 0.0}
    return trainee.Trainee(str(npz), {**changes, "precision": "float32"})


@pytest.mark.slow
def test_start_of_a_piece_is_no_part_of_its_steps(npz):
    """Of a start of 2 s, each of the two steps that count would have 1 s."""
    trained = small(npz)
    trained.fit(trainee.WARM + 1)  # Traces.
    waits = iter([2.0])

    def wait(*batch):
        tf.py_function(lambda: time.sleep(next(waits, 0)), [], [])
        return batch

    trained.data = trained.data.map(wait)
    turn = trained.fit(trainee.WARM + 2)
    assert 0 < turn.seconds < 1 < turn.wall


def test_trainee_trains_as_many_steps_as_asked(npz):
    trained = small(npz)
    turn = trained.fit(5)
    assert turn.seconds > 0 and turn.processor > 0
    assert trained.model.optimizer.iterations.numpy() == 5
    found = trained.facts()
    assert found["parameters"] == trained.model.count_params()
    stages = list(found["megabytes"].values())
    assert stages == sorted(stages) and stages[0] > 100


def test_tables_show_all_numbers_of_a_row():
    row = {
        "parameters": 77,
        "milliseconds_of_a_step": 12.54,
        "images_per_second": 1234,
        "megabytes": {"model": 3, "training": 4},
    }
    for name, sizes in growth.SWEEPS.items():
        report = {name: [{name: size, **row} for size in sizes]}
        lines = costs.make(name, {"growth": report}.get).splitlines()
        rows = [line.strip("| ").split(" | ") for line in lines]
        assert {len(row) for row in rows} == {len(rows[0])}
        assert [row[0] for row in rows[2:]] == [f"{x:,}" for x in sizes]
        assert rows[2][-3:] == ["12.5 ms", "1,234", "4 MB"]


def test_least_and_most_of_the_rounds_are_shown():
    row = {"seconds": 2, "seconds_of_rounds": [3, 1.25, 2]}
    report = {"starts": {"`python`": row}}
    shown = costs.make("starting", {"startup": report}.get)
    assert shown.endswith("| `python` | 2.00 s | 1.25-3.00 s |")
