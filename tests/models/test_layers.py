import keras
import numpy as np
import pytest

from keras_mnist_sum import task
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.models.baseline_layers import ExpectedNumber
from keras_mnist_sum.models.baseline_layers import OneHotArgmax
from keras_mnist_sum.models.layers import AugmentByShifts
from keras_mnist_sum.models.layers import ConditionalTable
from keras_mnist_sum.models.layers import MeanOverShifts
from keras_mnist_sum.models.layers import ScaleByMaximum


def test_images_in_0_1_and_in_0_255_become_the_same():
    images = np.random.default_rng(0).random((4, 28, 28, 1), "float32")
    scaled = ScaleByMaximum()(images)
    np.testing.assert_allclose(scaled, ScaleByMaximum()(images * 255), 1e-6)
    np.testing.assert_allclose(np.max(scaled, axis=(1, 2, 3)), 1.0)


def test_blank_image_stays_blank():
    assert np.all(ScaleByMaximum()(np.zeros((2, 28, 28, 1))) == 0)


def test_copies_are_the_image_and_its_four_shifts():
    images = np.random.default_rng(0).random((2, 9, 9, 1), "float32")
    images[:, [0, 1, -2, -1]] = images[:, :, [0, 1, -2, -1]] = 0
    copies = np.reshape(AugmentByShifts(2)(images), (5, 2, 9, 9, 1))
    shifts = [(0, 0), (0, -2), (0, 2), (-2, 0), (2, 0)]
    for copy, shift in zip(copies, shifts):
        np.testing.assert_array_equal(copy, np.roll(images, shift, (1, 2)))


def test_mean_of_copies_is_that_of_each_image():
    scores = np.random.default_rng(0).random((5, 3, 10), "float32")
    mean = MeanOverShifts()(scores.reshape(15, 10))
    np.testing.assert_allclose(mean, scores.mean(axis=0), rtol=1e-6)


def test_training_makes_no_copies():
    images = np.ones((2, 9, 9, 1), "float32")
    assert AugmentByShifts(1)(images, training=True).shape == images.shape
    assert MeanOverShifts()(np.ones((2, 10)), training=True).shape == (2, 10)


@pytest.mark.parametrize("difference", task.DIFFERENCES)
@pytest.mark.parametrize("name", ["sum", "difference"])
def test_exact_table_equals_brute_force_marginalisation(name, difference):
    rng = np.random.default_rng(0)
    digit = rng.dirichlet(np.ones(10), 5).astype("float32")
    number = rng.dirichlet(np.ones(10), 5).astype("float32")
    output = task.Task.named(difference=difference)[name]
    expected = np.zeros((5, output.num_classes))
    for d in range(10):
        for n in range(10):
            value = {"sum": d + n, "difference": d - n}[name]
            if difference == "absolute":
                value = abs(value)
            column = output.values.index(value)
            expected[:, column] += digit[:, d] * number[:, n]
    layer = ConditionalTable(output.num_classes, output.table.tolist())
    np.testing.assert_allclose(layer([digit, number]), expected, atol=1e-6)
    assert layer.count_params() == 0


def test_learned_table_starts_knowing_nothing():
    layer = ConditionalTable(19)
    answer = layer([np.eye(10)[[3]], np.eye(10)[[4]]])
    np.testing.assert_allclose(answer, np.full((1, 19), 1 / 19), rtol=1e-6)
    assert layer.count_params() == 10 * 10 * 19


@pytest.mark.parametrize("shift", [-1, 29, 5000, "2", None])
def test_shift_out_of_the_image_is_refused(shift):
    with pytest.raises(InputError, match=f"Received: {shift!r}"):
        AugmentByShifts(shift)


def test_table_rows_are_distributions_whatever_the_weights():
    layer = ConditionalTable(10)
    layer.build([(None, 10), (None, 10)])
    layer.set_weights([np.random.default_rng(0).normal(size=(10, 10, 10))])
    table = keras.ops.convert_to_numpy(layer.table())
    np.testing.assert_allclose(table.sum(axis=-1), 1.0, rtol=1e-5)
    assert table.min() >= 0


def test_argmax_is_one_hot_and_passes_no_gradient():
    import tensorflow as tf

    scores = tf.constant([[0.1, 2.0, -1.0], [5.0, 2.0, 1.0]])
    with tf.GradientTape() as tape:
        tape.watch(scores)
        chosen = OneHotArgmax()(scores)
        loss = tf.reduce_sum(chosen * [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(chosen, [[0, 1, 0], [1, 0, 0]])
    assert tape.gradient(loss, scores) is None


def test_one_hot_number_becomes_itself_and_a_distribution_its_mean():
    numbers = np.eye(10, dtype="float32")
    values = np.array(ExpectedNumber()(numbers))
    np.testing.assert_array_equal(values, np.arange(10)[:, np.newaxis])
    half = (numbers[2:3] + numbers[9:10]) / 2
    np.testing.assert_allclose(ExpectedNumber()(half), [[5.5]])
