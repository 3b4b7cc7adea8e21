"""Keras Tuner looks for settings, by images held out of training.

    python -m examples.tune [DATA] [STEPS]

DATA is what `train.py --data` takes. It needs `pip install keras-tuner`.
"""

import dataclasses
import sys

from keras_mnist_sum import presets
from keras_mnist_sum import train

import keras_tuner  # isort: skip, after what imports TensorFlow quietly


class Tuner(keras_tuner.RandomSearch):
    def run_trial(self, trial, config):
        found = trial.hyperparameters
        config = dataclasses.replace(
            config, learning_rate=found.Float("rate", 0.003, 0.03)
        )
        results = train(config, f"runs/tune/{trial.trial_id}", verbose=0)
        return {"right": results["validation"]["accuracy"]["all"]}


def main(data: str = "auto", steps: str = "310") -> None:
    fast = presets.get("fast").config
    fast = dataclasses.replace(
        fast, data=data, steps=int(steps), validation_fraction=0.1
    )
    by = keras_tuner.Objective("right", "max")
    tuner = Tuner(objective=by, max_trials=2, directory="runs", seed=0)
    tuner.search(fast)
    print("best for the sum:", tuner.get_best_hyperparameters()[0].values)


if __name__ == "__main__":
    main(*sys.argv[1:])
