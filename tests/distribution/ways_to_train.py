"""One config in processes of its own: on one device, several, in workers."""

import csv
import functools
import os
import sys

import keras
import numpy as np

from keras_mnist_sum.config import Config
from keras_mnist_sum.distribution.cluster import find_cluster
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.models.build import copy_model
from keras_mnist_sum.training import train as training
from tests import interrupted


def forbid_writing(folder):
    """Lets this process, from here on, write nothing in `folder`."""
    writing = {"os.mkdir", "os.rename", "os.remove", "os.link"}

    def check(event, args):
        writes = event in writing or (
            event == "open" and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        )
        if writes and str(args[0]).startswith(str(folder)):
            raise RuntimeError(f"{event} {args}")

    sys.addaudithook(check)


def small_config(npz, steps):
    """39 images to train on, 11 for validation, which no two devices share
    evenly."""
    return Config(
        data=str(npz),
        validation_fraction=0.22,
        backbone="small",
        width=2,
        steps=steps,
        batch_size=8,
    )


class SaveWeights(keras.callbacks.Callback):
    """Saves the trained weights of each process beside the run directory."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_end(self, logs=None):
        weights = [np.ravel(array) for array in self.model.get_weights()]
        np.save(self.path, np.concatenate(weights))
        keras.config.set_floatx("float32")  # What is exported always is.


def build_in_float64(config):
    keras.config.set_floatx("float64")
    return copy_model(build_model(config), "float64")


class Teach:
    """Has all runs that this process begins from now on have these teachers,
    by path."""

    def __init__(self, teachers):
        self.teachers = teachers

    def __call__(self):
        training.train = functools.partial(
            training.train, teachers=self.teachers
        )


class Prepare:
    """Has each process save its trained weights, and only the chief write in
    `run_dir`."""

    def __init__(self, run_dir, float64, teachers):
        self.run_dir, self.float64 = run_dir, float64
        self.teach = Teach(teachers)

    def __call__(self):
        cluster = find_cluster()
        worker = cluster.worker if cluster else 0
        if worker:
            forbid_writing(f"{self.run_dir}/")
        if self.float64:
            training.build_model = build_in_float64
        self.teach()
        path = f"{self.run_dir}-weights-{worker}"
        interrupted.observe(SaveWeights(path))


WAYS = {
    "one device": {"strategy": "single"},
    "two devices": {"strategy": "mirrored", "cpus": 2},
    "two workers": {"strategy": "auto"},
    "four workers": {"strategy": "auto"},
    "two parts of a GPU": {"strategy": "mirrored", "gpus": 2},
    "two workers on a GPU": {"strategy": "auto", "gpus": 1},
}
WORKERS = {"two workers": 2, "four workers": 4, "two workers on a GPU": 2}


def train(way, config, run_dir, float64=False, troubles=(), teachers=()):
    """Trains in one of the `WAYS`; `troubles` are by worker.

    Returns:
        The trained weights in each process that came so far, the losses of
        each epoch, and the exit codes.
    """
    named = {**WAYS[way], "before": Prepare(run_dir, float64, teachers)}
    if workers := WORKERS.get(way):
        processes = interrupted.start_workers(
            config, run_dir, workers, troubles, **named
        )
    else:
        processes = [interrupted.start(config, run_dir, **named)]
    for process in processes:
        process.join(300)
    paths = sorted(run_dir.parent.glob(f"{run_dir.name}-weights-*.npy"))
    weights = [np.load(path) for path in paths]
    for path in paths:
        path.unlink()
    losses = []
    if Run(run_dir).history.is_file():
        with open(Run(run_dir).history) as file:
            losses = [
                [float(row["loss"]), float(row["val_loss"])]
                for row in csv.DictReader(file)
            ]
    return weights, losses, [process.exitcode for process in processes]
