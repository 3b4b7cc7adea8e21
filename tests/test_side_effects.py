"""A model that was looked at is what it was before, and so is the process."""

import logging
import random

import keras
import matplotlib
import numpy as np
import pytest

from keras_mnist_sum import Config
from keras_mnist_sum import build_model
from keras_mnist_sum import evaluate
from keras_mnist_sum import load_model
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.evaluation.evaluate import predict_all_pairs
from keras_mnist_sum.formats.export import export
from keras_mnist_sum.formats.open import FORMATS
from keras_mnist_sum.models.build import learned_tables
from keras_mnist_sum.reporting.report import save_report
from keras_mnist_sum.training.optimization import compile_model

TINY = dict(backbone="small", width=2, steps=3, batch_size=10)


def state_of_the_process():
    logger = logging.getLogger("keras_mnist_sum")
    return (
        keras.config.dtype_policy().name,
        random.getstate(),
        np.random.get_state()[1].tolist(),
        matplotlib.get_backend(),
        dict(matplotlib.rcParams),
        (logger.level, list(logger.handlers), logger.propagate),
        logging.getLogger().level,
    )


def look_at(model, digits, folder):
    """Scores, draws and exports `model`, in every way there is."""
    evaluate(model, digits)
    predictions = predict_all_pairs(model, *digits)
    save_report(folder / "report", predictions, learned_tables(model), {})
    for format in FORMATS:
        export(model, folder, format)


def test_model_is_saved_and_trained_further_after_a_look(digits, tmp_path):
    config = Config(precision="bfloat16", **TINY)
    model = compile_model(build_model(config), config)
    batches = pipeline.training_dataset(*digits, config)
    model.fit(batches, shuffle=False, verbose=0)
    before = model.to_json()
    weights = model.get_weights()
    optimizer = model.optimizer

    look_at(model, digits, tmp_path)

    assert model.to_json() == before
    assert model.optimizer is optimizer and model.compiled
    for one, other in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.save(tmp_path / "after.keras")
    reloaded = load_model(tmp_path / "after.keras")
    compile_model(reloaded, config).fit(batches, shuffle=False, verbose=0)
    model.fit(batches, shuffle=False, verbose=0)  # and goes on itself
    assert int(model.optimizer.iterations) == 6


@pytest.mark.slow
def test_looking_changes_nothing_in_the_process(digits, tmp_path):
    model = build_model(Config(**TINY))
    look_at(model, digits, tmp_path / "first")  # imports what it needs
    before = state_of_the_process()
    look_at(model, digits, tmp_path / "second")
    assert state_of_the_process() == before
