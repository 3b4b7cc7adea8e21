"""Muon moves the kernels of convolutions alike in every direction."""

import keras
import numpy as np
import pytest

from keras_mnist_sum.training.fused_adamw import FusedAdamW
from keras_mnist_sum.training.muon import Muon
from keras_mnist_sum.training.muon import orthogonalize

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(36, 8), (8, 8), (9, 64)])
def test_all_singular_values_become_about_one(shape) -> None:
    # Those of the matrix differ by a factor of ten.
    matrix = RANDOM.normal(size=shape).astype("float32")
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    matrix = (left * np.geomspace(0.1, 1, min(shape))) @ right

    result = np.array(orthogonalize(matrix.astype("float32")))

    values = np.linalg.svd(result, compute_uv=False)
    assert result.shape == shape
    assert values.min() > 0.6 and values.max() < 1.3
    # What pointed one way still does.
    np.testing.assert_array_less(0.5, np.diag(left.T @ result @ right.T))


@pytest.mark.parametrize("shape", [(90, 12), (12, 90)])
def test_narrow_directions_grow_as_by_the_published_iteration(shape) -> None:
    """Jordan et al. iterate the whole matrix; here only its square is."""
    left, _, right = np.linalg.svd(RANDOM.normal(size=shape), False)
    matrix = (left * np.geomspace(1e-5, 1, 12)) @ right
    expected = matrix / np.linalg.norm(matrix)
    for _ in range(5):
        square = expected @ expected.T
        change = -4.7750 * square + 2.0315 * square @ square
        expected = 3.4445 * expected + change @ expected

    result = np.array(orthogonalize(matrix.astype("float32")))

    np.testing.assert_allclose(result, expected, atol=1e-3)


def step(kind, start, gradient):
    optimizer = kind(0.1, weight_decay=0.5, beta_1=0.9, beta_2=0.99)
    variable = keras.Variable(start)
    optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return keras.ops.convert_to_numpy(variable)


def test_a_kernel_takes_an_orthogonal_step_and_decays() -> None:
    start, gradient = RANDOM.normal(size=(2, 3, 3, 2, 4)).astype("float32")

    moved = step(Muon, start, gradient) - start * (1 - 0.5 * 0.1)

    values = np.linalg.svd(moved.reshape(18, 4), compute_uv=False)
    # rate 0.1, times 5, times the root of rows / columns
    assert np.all(np.abs(values / (0.5 * (18 / 4) ** 0.5) - 1) < 0.35)
    assert np.sum(moved * gradient) < 0


def test_all_other_weights_take_the_steps_of_adamw() -> None:
    for shape in ((5,), (6, 10), (10, 10, 19)):
        start, gradient = RANDOM.normal(size=(2, *shape)).astype("float32")

        np.testing.assert_array_equal(
            step(Muon, start, gradient), step(FusedAdamW, start, gradient)
        )


def test_it_can_be_written_and_read() -> None:
    optimizer = Muon(0.1, kernel_rate=3.0, beta_1=0.8)

    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))

    assert type(copy) is Muon
    assert copy.get_config() == optimizer.get_config()
