"""Arguments of the wrong kind get one clear line, wherever they are given."""

import dataclasses

import numpy as np
import pytest

from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from keras_mnist_sum.data import pipeline
from keras_mnist_sum.data.mnist import Mnist
from keras_mnist_sum.data.sources import as_mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.distribution.devices import find_devices
from keras_mnist_sum.evaluation import comparison
from keras_mnist_sum.evaluation import evaluate
from keras_mnist_sum.formats import export
from keras_mnist_sum.formats.any_model import load_model
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.inference.pictures import to_mnist
from keras_mnist_sum.inference.predictor import Predictor
from keras_mnist_sum.models import build
from keras_mnist_sum.task import Task
from keras_mnist_sum.task.output import Output
from keras_mnist_sum.training.arguments import check_arguments
from keras_mnist_sum.training.optimization import compile_model
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils import console
from tests.strange_values import assert_refuses

CONFIG = Config(backbone="small", width=1, steps=1, batch_size=2)
IMAGES = np.zeros((3, 28, 28), "uint8")
IMAGES[:, 4:24, 13:15] = 255  # ones
DIGITS = np.ones(3, int)
ARRAYS = (IMAGES, DIGITS, IMAGES, DIGITS)
TABLE = np.eye(10, dtype=int)


def digit(d, n):
    return d


def read(x):
    """A model that gives nothing but this."""
    return Predictor(lambda arrays: x)(IMAGES[0], 3)


FUNCTIONS = {
    "config of JSON": Config.from_json,
    "preset": presets.get,
    "config": presets.as_config,
    "names": Task.named,
    "difference": lambda x: Task.named(difference=x),
    "unnamed": Task,
    "value": lambda x: Task(digit=digit, other=lambda d, n: x),
    "function": lambda x: Task(digit=digit, other=x),
    "outputs": Task.of,
    "output": lambda x: Task.of([x]),
    "task": Task.from_dict,
    "task's output": lambda x: Task.from_dict({"digit": x}),
    "name": lambda x: Output(x, (0, 1), TABLE, ""),
    "values": lambda x: Output("a", x, TABLE, ""),
    "table": lambda x: Output("a", (0, 1), x, ""),
    "text": lambda x: Output("a", (0, 1), TABLE, x),
    "decode": lambda x: Task.named()["sum"].decode(x),
    "data": load_mnist,
    "data_dir": lambda x: load_mnist("sample", x),
    "test_only": lambda x: load_mnist("nowhere", test_only=x),
    "mnist": as_mnist,
    "images": lambda x: Mnist.from_arrays(x, DIGITS, IMAGES, DIGITS),
    "labels": lambda x: Mnist.from_arrays(IMAGES, x, IMAGES, DIGITS),
    "source": lambda x: Mnist.from_arrays(*ARRAYS, source=x),
    "split": lambda x: Mnist.of(ARRAYS).split(x),
    "model to predict": Predictor,
    "model to load": Predictor.load,
    "its task": lambda x: Predictor(lambda arrays: {}, x),
    "predictions": read,
    "prediction": lambda x: read({"digit": x, "sum": x, "difference": x}),
    "picture": to_mnist,
    "run_dir": lambda x: Run.open(x, CONFIG),
    "build_model": build.build_model,
    "info_of": build.info_of,
    "copy_model": build.copy_model,
    "learned_tables": build.learned_tables,
    "count_multiply_adds": build.count_multiply_adds,
    "compile_model": lambda x: compile_model(x, CONFIG),
    "load_model": load_model,
    "start_step": lambda x: pipeline.training_dataset(*ARRAYS[:2], CONFIG, x),
    "part": lambda x: pipeline.training_dataset(*ARRAYS[:2], CONFIG, 0, x),
    "dataset's config": lambda x: pipeline.training_dataset(*ARRAYS[:2], x),
    "batch": lambda x: pipeline.batch(x, CONFIG, 0),
    "step": lambda x: pipeline.check_step(CONFIG, x),
    "model to score": lambda x: evaluate.evaluate(x, ARRAYS[:2]),
    "compare": lambda x: comparison.compare(x, *ARRAYS[:2]),
    "folder": lambda x: export.destination(x, "keras"),
    "format": lambda x: export.destination("nowhere", x),
    "quantize": lambda x: export.destination("nowhere", "litert", x),
    "fixed batch": lambda x: export.destination("nowhere", "onnx", None, x),
    "strategy": find_devices,
    "verbose": lambda x: console.setup_logging(x).__enter__(),
    "train's run_dir": lambda x: check_arguments(x, None, None, False),
    "train's task": lambda x: check_arguments("a", x, None, False),
    "checkpoint_every": lambda x: check_arguments("a", None, x, False),
    "tensorboard": lambda x: check_arguments("a", None, None, x),
    "file": atomic_files.check_file,
    "file to read": atomic_files.read_text,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_strange_argument_gets_one_clear_line(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert_refuses(FUNCTIONS[name])


@pytest.mark.parametrize("field", dataclasses.fields(Config))
def test_strange_setting_gets_one_clear_line_or_becomes_json(field):
    assert_refuses(lambda x: Config(**{field.name: x}).to_json())


@pytest.mark.parametrize(
    "form",
    [
        lambda p, x: p(x, 3),
        lambda p, x: p([x], [3]),
        lambda p, x: p(x, [3, 4, 5]),
        lambda p, x: p(IMAGES[0], x),
        lambda p, x: p(IMAGES, x),
        lambda p, x: p.answers(x, 3),
        lambda p, x: p.answers(x, []),
        lambda p, x: p.answers(IMAGES, x),
    ],
)
def test_strange_picture_or_number_gets_one_clear_line(form):
    predictor = Predictor.load()
    assert_refuses(lambda x: form(predictor, x))
