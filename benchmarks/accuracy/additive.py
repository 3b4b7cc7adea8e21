"""What one linear layer on a digit and a number can answer, told the digit.

Fits a linear layer on digit and number, both one-hot: 100 examples. Its loss is
convex, so its optimum is what the layer can do at best: cross-entropy and right
cells there, and right cells after some steps of SGD on sampled pairs (rate
0.01, momentum 0.9, batch 64, mean over seeds).
"""

import argparse

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from benchmarks import harness
from keras_mnist_sum.task import DIFFERENCES
from keras_mnist_sum.task import Output
from keras_mnist_sum.task import Task

STEPS = (938, 2_000, 5_000, 13_125)  # 1 epoch ... 14 epochs of batch 64
OPTIONS = {"seeds": (10, "of SGD")}
SMOKE = {"seeds": 1}


def main(values: argparse.Namespace) -> None:
    found = {"sum": fit(Task.named()["sum"], values.seeds)}
    for kind in DIFFERENCES:
        output = Task.named(difference=kind)["difference"]
        found[f"{kind} difference"] = fit(output, values.seeds)
    harness.save(values, found)


def fit(output: Output, seeds: int) -> dict:
    digit, number = np.divmod(np.arange(100), 10)
    features = np.eye(20)[digit] + np.eye(20)[10 + number]  # (100, 20)
    classes = output.table.ravel()
    targets = np.eye(output.num_classes)[classes]

    def loss_and_gradient(
        flat: np.ndarray, pairs: np.ndarray | slice = slice(None)
    ) -> tuple[float, np.ndarray]:
        x, y = features[pairs], targets[pairs]
        scores = log_softmax(x @ flat.reshape(20, -1), axis=1)
        gradient = x.T @ (np.exp(scores) - y) / len(x)
        loss = -np.mean(np.sum(y * scores, axis=1))
        return float(loss), gradient.ravel()

    def right(flat: np.ndarray) -> int:
        scores = features @ flat.reshape(20, -1)
        return int((scores.argmax(axis=1) == classes).sum())

    size = 20 * output.num_classes
    best = minimize(
        loss_and_gradient,
        np.zeros(size),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 20_000, "ftol": 1e-15, "gtol": 1e-10},
    )
    counts: dict[int, list[int]] = {step: [] for step in STEPS}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        flat, velocity = rng.uniform(-1, 1, size) / np.sqrt(20), np.zeros(size)
        for step in range(1, STEPS[-1] + 1):
            _, gradient = loss_and_gradient(flat, rng.integers(0, 100, 64))
            velocity = 0.9 * velocity - 0.01 * gradient
            flat = flat + velocity
            if step in counts:
                counts[step].append(right(flat))
    return {
        "loss_at_optimum": float(best.fun),
        "right_cells_at_optimum": right(best.x),
        "right_cells_after_sgd": {
            step: float(np.mean(values)) for step, values in counts.items()
        },
    }
