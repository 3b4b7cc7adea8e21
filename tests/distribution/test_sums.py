"""What workers tell each other in small sums: here, devices of one process."""

import json
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mnist_sum.distribution import replica_values
from keras_mnist_sum.distribution.sums import gather
from keras_mnist_sum.distribution.sums import sum_over_replicas
from tests import interrupted

STEPS = 20  # by one key


def gather_on_two(path, shape, dtype):
    interrupted.split("CPU", 2)
    found = {}

    def work(device):
        step = tf.function(lambda x: gather(x, 2, key=7))
        with tf.device(f"CPU:{device}"):
            found[device] = [
                step(tf.fill(shape, tf.cast(10 * n + device, dtype))).numpy()
                for n in range(STEPS)
            ]

    threads = [threading.Thread(target=work, args=(x,)) for x in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    steps = [[x.tolist() for x in found[device]] for device in (0, 1)]
    path.write_text(json.dumps(steps))


def in_a_process(work, *arguments):
    process = interrupted.CONTEXT.Process(target=work, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode == 0


@pytest.mark.parametrize(
    "shape, dtype",
    [((), "int64"), ((3,), "float32"), ((2, 3), "float64"), ((1,), "float16")],
)
def test_all_get_the_values_of_all_in_each_step(tmp_path, shape, dtype):
    path = tmp_path / "steps.json"
    in_a_process(gather_on_two, path, shape, dtype)
    first, second = json.loads(path.read_text())
    assert first == second
    for step, values in enumerate(first):
        expected = [np.full(shape, 10 * step + x).tolist() for x in (0, 1)]
        assert sorted(values) == expected


def test_alone_a_sum_is_the_value_and_has_a_gradient():
    values = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(sum_over_replicas(values) ** 2)
    assert total == 5
    assert tape.gradient(total, values).numpy().tolist() == [2, 4]


def read_on_two(path):
    """Metrics of several dtypes, with other values on each replica."""
    interrupted.split("CPU", 2)
    strategy = tf.distribute.MirroredStrategy()
    names = ("float32", "float64", "int32", "uint8", "bool", "bfloat16")
    with strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        metric = keras.metrics.Metric()
        variables = [
            metric.add_variable((2,), "zeros", dtype=name, name=name)
            for name in names
        ]

    @tf.function
    def change():
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group
        for variable in variables:
            variable.assign(tf.cast([replica, 1], variable.dtype))

    strategy.run(change)
    arrays = replica_values.read(model, variables)
    replica_values.assign(model, variables, [x[::-1] for x in arrays])
    swapped = replica_values.read(model, variables)
    found = [
        [str(x.dtype), x.astype(int).tolist(), y.astype(int).tolist()]
        for x, y in zip(arrays, swapped, strict=True)
    ]
    path.write_text(json.dumps([names, found]))


def test_metrics_of_any_dtype_are_read_and_assigned_on_each_replica(tmp_path):
    path = tmp_path / "read.json"
    in_a_process(read_on_two, path)
    names, found = json.loads(path.read_text())
    expected = [[name, [[0, 1], [1, 1]], [[1, 1], [0, 1]]] for name in names]
    assert found == expected
