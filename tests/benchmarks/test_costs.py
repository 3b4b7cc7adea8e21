"""The programs that measure costs run, and the page shows what they found."""

import time

import pytest
import tensorflow as tf

from benchmarks import costs
from benchmarks import growth
from benchmarks import growth_plot
from benchmarks import pipeline
from benchmarks import timing
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist

TINY = Config(width=2, batch_size=10, steps=10**6, validation_fraction=0.0)


def test_waiting_is_a_share_of_the_step(npz):
    fit = pipeline.Fit(load_mnist(str(npz)), TINY, steps=20, warm=2)
    found = pipeline.measure(fit, rounds=2, batches=5)
    assert 0 < found["waiting_percent"] < 100
    assert found["fit_images_per_second"] > 0
    assert len(found["cost_percent_of_rounds"]) == 2


def test_slow_input_is_seen_as_waiting(npz, monkeypatch):
    """By far most of the time, if a batch takes as long as ten steps."""
    fit = pipeline.Fit(load_mnist(str(npz)), TINY, steps=6, warm=2)
    fit.share_of_waiting()  # Traces.
    quick = fit.batches

    def slow():
        def wait(*batch):
            tf.py_function(lambda: time.sleep(0.2), [], [])
            return batch

        return quick().map(wait)

    monkeypatch.setattr(fit, "batches", slow)
    assert fit.share_of_waiting() > 0.5


@pytest.mark.slow
def test_start_of_a_piece_is_no_part_of_its_steps(npz):
    """Of a start of 2 s, each of the two steps that count would have 1 s."""
    point = growth.Point(TINY, str(npz), timing.WARM + 2)
    waits = iter([2.0])

    def wait(*batch):
        tf.py_function(lambda: time.sleep(next(waits, 0)), [], [])
        return batch

    point.data = point.data.map(wait)
    assert 0 < point.seconds() < 1


def test_growth_point_trains_as_many_steps_as_asked(npz):
    point = growth.Point(TINY, str(npz), 5)
    before = point.model.optimizer.iterations.numpy()
    assert point.seconds() > 0
    assert point.model.optimizer.iterations.numpy() == before + 5
    found = point.facts()
    assert found["steps"] == 5
    assert found["parameters"] == point.model.count_params()
    stages = list(found["megabytes"].values())
    assert stages == sorted(stages) and stages[0] > 100


def test_tables_and_picture_show_all_numbers_of_a_report(tmp_path):
    """All numbers of a row, those of width 32 once more for the memory."""
    megabytes = {"TensorFlow": 1, "images": 2, "model": 3, "training": 4}
    report = {
        "command": "python -m benchmarks.growth",
        "megabytes_of_the_default_run": 5,
        "environment": {"processor": "one", "device": "CPU (2 cores)"},
        **{
            name: [
                {
                    name: size,
                    "parameters": 77,
                    "milliseconds_of_a_step": 12.5 * size,
                    "images_per_second": 1234,
                    "seconds_of_an_epoch": 6.5,
                    "megabytes": megabytes,
                    "n": 7,
                }
                for size in sizes
            ]
            for name, sizes in growth.SWEEPS.items()
        },
    }
    for name, sizes in growth.SWEEPS.items():
        source, table = costs.TABLES[name]
        header, rows = table(report)
        assert source == "growth" and len(rows) == len(sizes)
        assert {len(row) for row in rows} == {len(header)}
        assert rows[0][0] == f"{sizes[0]:,}" and rows[0][-2:] == ["4 MB", "7"]
    _, rows = costs.memory(report)
    assert [row[-1] for row in rows] == [f"{i} MB" for i in range(1, 6)]
    growth_plot.draw(report, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 10_000
