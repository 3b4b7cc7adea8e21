"""Runs on Keras's other backends, with TensorFlow installed for the data."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from keras_mnist_sum import evaluate
from keras_mnist_sum import load_pretrained
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.run_directory import Run

PROGRAM = """
import sys
import keras
from keras_mnist_sum import Config, train
config = Config(
    data=sys.argv[2], backbone="small", width=2, steps=12, batch_size=10
)
if sys.argv[3] == "killed":
    class Kill(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                sys.exit(9)
    train(config, sys.argv[1], callbacks=[Kill()], checkpoint_every=1)
train(config, sys.argv[1], strategy=sys.argv[3])
"""


@pytest.fixture(params=["jax", "torch"])
def python(request):
    """Runs a program on another backend, and returns the process."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return lambda program, *arguments: subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "KERAS_BACKEND": request.param},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def run(python, npz, tmp_path):
    return lambda how: python(PROGRAM, tmp_path / "run", npz, how)


@pytest.mark.slow
def test_run_goes_on_and_finishes_without_a_saved_model(run, tmp_path):
    killed = run("killed")
    assert killed.returncode == 9, killed.stderr
    done = run("auto")
    assert done.returncode == 0, done.stderr
    assert "going on after step 2" in done.stdout
    assert done.stdout.count("WARNING: a SavedModel is written by") == 1
    finished = Run(tmp_path / "run")
    assert finished.is_finished and not finished.saved_model.exists()
    assert json.loads(finished.results.read_text())["steps"] == 12
    load_model(finished.model)


@pytest.mark.slow
def test_several_devices_are_refused(run, tmp_path):
    refused = run("mirrored")
    assert "trains on one device alone here. Received" in refused.stderr
    assert not (tmp_path / "run").exists()


LOOK = """
import numpy as np
from keras_mnist_sum import Config, build_model, evaluate, load_pretrained
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.training.optimization import compile_model
mnist = load_mnist("sample")
model = load_pretrained()
pairs = {"image": np.zeros((2, 28, 28, 1)), "number": np.eye(10)[[3, 4]]}
assert model.predict(pairs, verbose=0)["sum"].shape == (2, 19)
images, labels = mnist.test_images[::10], mnist.test_labels[::10]
print(evaluate(model, (images, labels)).correct)
config = Config(backbone="small", width=2, steps=5, batch_size=50)
model = compile_model(build_model(config), config)
batches = pipeline.training_dataset(
    mnist.train_images, mnist.train_labels, config
)
history = model.fit(batches, shuffle=False, verbose=0).history
assert np.isfinite(history["loss"][0])
"""


@pytest.mark.slow
def test_model_is_built_loaded_scored_and_fitted(python):
    result = python(LOOK)
    assert result.returncode == 0, result.stderr
    mnist = load_mnist("sample")
    images, labels = mnist.test_images[::10], mnist.test_labels[::10]
    scores = evaluate(load_pretrained(), (images, labels))
    assert result.stdout == f"{scores.correct}\n"
