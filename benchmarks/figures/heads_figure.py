"""How often runs with several heads are right in each cell."""

from pathlib import Path

from matplotlib.figure import Figure

from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.evaluate import predict_all_pairs
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.formats.open import open_model
from keras_mnist_sum.reporting.pair_tables import most_common


def draw(titled_runs: list[str]) -> Figure:
    """A row for each run, `TITLE=RUN`."""
    return most_common(predictions_of(titled_runs), ("sum", "difference"))


def predictions_of(titled_runs: list[str]) -> dict[str, Predictions]:
    """By title, what each run, `TITLE=RUN`, predicts of its test set.

    Raises:
        InputError: If one is not `TITLE=RUN`, or no run.
    """
    models = {}
    for text in titled_runs:
        title, _, run = text.partition("=")
        if not (title and run):
            raise InputError(f"This must be TITLE=RUN. Received: {text!r}")
        opened = open_model(Path(run))
        config = opened.config or Config()
        mnist = load_mnist(config.data, config.data_dir, test_only=True)
        images, labels = mnist.test_images, mnist.test_labels
        models[title] = predict_all_pairs(opened, images, labels)
    return models
