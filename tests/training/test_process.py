"""What a user has set in the process changes no run, and stays as it is."""

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.data.ops import debug_mode
from tensorflow.python.eager import context

from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.training import train as training
from keras_mnist_sum.training.process import default_settings

ROOT = Path(__file__).parents[2]
TINY = dict(backbone="small", width=2, steps=6, batch_size=10)
JIT = tf.config.optimizer
# How to set what a user may have set, and how it was at first.
SETTINGS = {
    "policy": (keras.config.set_dtype_policy, "mixed_float16", "float32"),
    "floatx": (keras.config.set_floatx, "float16", "float32"),
    "epsilon": (keras.config.set_epsilon, 0.01, 1e-7),
    "channels": (
        keras.config.set_image_data_format,
        "channels_first",
        "channels_last",
    ),
    "epochs": (keras.config.set_max_epochs, 1, None),
    "steps": (keras.config.set_max_steps_per_epoch, 1, None),
    "eager": (tf.config.run_functions_eagerly, True, False),
    "jit": (JIT.set_jit, True, False),
    "graphs": (
        lambda off: JIT.set_experimental_options(
            {"disable_meta_optimizer": off}
        ),
        True,
        False,
    ),
    "data": (debug_mode.toggle_debug_mode, True, False),
    "numerics": (
        lambda on: (
            tf.debugging.enable_check_numerics()
            if on
            else tf.debugging.disable_check_numerics()
        ),
        True,
        False,
    ),
    "NumPy": (lambda how: np.seterr(all=how), "raise", "warn"),
}


def settings():
    return (
        keras.config.dtype_policy().name,
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
        keras.config.max_epochs(),
        keras.config.max_steps_per_epoch(),
        tf.config.functions_run_eagerly(),
        JIT.get_jit(),
        JIT.get_experimental_options().get("disable_meta_optimizer", False),
        debug_mode.DEBUG_MODE,
        len(context.context().op_callbacks),
        np.geterr()["divide"],
    )


@pytest.fixture
def set_by_the_user():
    """Sets all of `SETTINGS`."""
    errors = np.geterr()
    for put, mine, _ in SETTINGS.values():
        put(mine)
    yield
    for put, _, default in SETTINGS.values():
        put(default)
    np.seterr(**errors)


def test_settings_of_the_user_are_left_out_and_put_back(request):
    defaults = settings()
    request.getfixturevalue("set_by_the_user")
    mine = settings()
    assert not any(x == y for x, y in zip(mine, defaults, strict=True))
    with pytest.raises(ZeroDivisionError), default_settings():
        assert settings() == defaults
        raise ZeroDivisionError
    assert settings() == mine


def test_filters_of_warnings_are_put_back():
    before = warnings.filters[:]
    with default_settings():
        assert warnings.filters != before
    assert warnings.filters == before


TWO_DEVICES = """
import gc
import time
import tensorflow as tf
from keras_mnist_sum.data.pipeline import without_autotuning
from keras_mnist_sum.training.process import default_settings

[cpu] = tf.config.list_physical_devices("CPU")
logical = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, logical)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
data = without_autotuning(tf.data.Dataset.range(10**9).batch(8))
with default_settings():
    shares = strategy.distribute_datasets_from_function(lambda _: data)
    iterators = [iter(shares) for _ in range(8)]
    start = time.monotonic()
    while time.monotonic() < start + 6:
        for iterator in iterators:
            next(iterator)
    start = time.monotonic()
    del iterator, iterators
    gc.collect()
    print(time.monotonic() - start)
"""


@pytest.mark.slow
def test_batches_for_two_devices_end_without_waiting():
    """TensorFlow's own would, one of three: after 6 s for another 4."""
    command = [sys.executable, "-c", TWO_DEVICES]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert float(done.stdout) < 2


def weights(run_dir):
    """The bytes of the weights of a finished run."""
    arrays = load_model(Run(run_dir).model).get_weights()
    return b"".join(array.tobytes() for array in arrays)


def train(npz, run_dir, **named):
    config = Config(data=str(npz), **TINY)
    training.train(config, run_dir, verbose=0, **named)
    return weights(run_dir)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*experimental_run_functions_eagerly")
@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_of_the_user_changes_a_bit(npz, tmp_path, name):
    expected = train(npz, tmp_path / "plain")
    put, mine, default = SETTINGS[name]
    errors = np.geterr()
    put(mine)
    try:
        training.train(
            Config(data=str(npz), **TINY), tmp_path / "set", verbose=0
        )
    finally:
        put(default)
        np.seterr(**errors)
    assert weights(tmp_path / "set") == expected


PROGRAM = """
import sys
import keras
from keras_mnist_sum import Config, train
config = Config(
    data=sys.argv[2], backbone="small", width=2, steps=6, batch_size=10
)
train(config, sys.argv[1], verbose=0)
print(keras.config.floatx(), keras.config.image_data_format())
"""
FILE = """{"floatx": "float16", "epsilon": 0.1, "backend": "tensorflow",
"image_data_format": "channels_first"}"""


@pytest.mark.slow
def test_settings_in_files_and_the_environment_change_no_bit(npz, tmp_path):
    """Nor are warnings that are errors any."""
    (tmp_path / "keras.json").write_text(FILE)
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "set", npz],
        env={
            **os.environ,
            "KERAS_HOME": str(tmp_path),
            "KERAS_MAX_EPOCHS": "1",
            "PYTHONWARNINGS": "error",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "float16 channels_first\n"
    assert weights(tmp_path / "set") == train(npz, tmp_path / "plain")


def test_second_run_in_the_process_is_refused(npz, tmp_path):
    """From a callback, as here, and from a thread."""
    errors = []

    def second():
        try:
            train(npz, tmp_path / "second")
        except InputError as error:
            errors.append(str(error))

    with default_settings():  # As within `train`.
        second()
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(errors) == 2
    assert all(x.startswith("One run at a time trains") for x in errors)
    assert not (tmp_path / "second").exists()
    with default_settings():
        pass  # The next one may.


def test_run_in_a_graph_is_refused(npz, tmp_path):
    with (
        tf.Graph().as_default(),
        pytest.raises(InputError, match="must execute eagerly.*Received"),
    ):
        train(npz, tmp_path / "run")
    assert not (tmp_path / "run").exists()
