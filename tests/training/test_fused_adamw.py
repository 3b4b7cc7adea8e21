"""The fused AdamW is Keras's."""

import keras
import numpy as np
import pytest

from keras_mnist_sum.training.fused_adamw import FusedAdamW


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_updates_as_keras_own_does(dtype: str) -> None:
    random = np.random.default_rng(0)
    start = random.normal(size=(3, 4)).astype(dtype)
    gradients = random.normal(size=(5, 3, 4)).astype(dtype)
    found = []
    for kind in (FusedAdamW, keras.optimizers.AdamW):
        optimizer = kind(0.1, weight_decay=0.5, beta_1=0.8, beta_2=0.95)
        variable = keras.Variable(start, dtype=dtype)
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        found.append(keras.ops.convert_to_numpy(variable))
        assert np.all(found[-1] != start)

    np.testing.assert_allclose(*found, rtol=1e-5)


def test_a_saved_model_with_its_optimizer_can_be_opened(tmp_path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(FusedAdamW(0.1), "mse")
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    model.save(tmp_path / "model.keras")

    copy = keras.saving.load_model(tmp_path / "model.keras")

    assert type(copy.optimizer) is FusedAdamW
    assert copy.optimizer.iterations == 1
