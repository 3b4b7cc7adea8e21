"""A run in MLflow: its config, each epoch's losses, and the final scores.

    python -m examples.mlflow_callback [DATA] [STEPS]

It goes where MLFLOW_TRACKING_URI says, by default to the file mlflow.db here,
which `mlflow ui` shows. `requirements-examples.txt` has what it takes.
"""

import dataclasses
import os
import sys

from keras_mnist_sum import presets
from keras_mnist_sum import train

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import keras  # isort: skip, after what imports TensorFlow without its messages
import mlflow  # isort: skip, after it was told to send nothing


class LogToMlflow(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        mlflow.log_metrics(logs, step=epoch + 1)


def main(data: str = "auto", steps: str = "310") -> None:
    config = dataclasses.replace(
        presets.get("fast").config, data=data, steps=int(steps)
    )
    with mlflow.start_run(run_name=config.preset):
        mlflow.log_params(config.to_dict())
        results = train(config, "runs/mlflow", callbacks=[LogToMlflow()])
        shares = results.accuracy.items()
        mlflow.log_metrics({f"test_{name}": share for name, share in shares})


if __name__ == "__main__":
    main(*sys.argv[1:])
