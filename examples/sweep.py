"""Tries settings at random, and chooses by images held out of training.

    python -m examples.sweep [DATA] [STEPS]

DATA is what `train.py --data` takes. Called again after an interruption, it
goes on: trials that are done return their results at once.
"""

import dataclasses
import random
import sys

from keras_mnist_sum import presets
from keras_mnist_sum import train


def main(data: str = "auto", steps: str = "310") -> None:
    fast = presets.get("fast").config
    fast = dataclasses.replace(
        fast, data=data, steps=int(steps), validation_fraction=0.1
    )
    draw, found = random.Random(0), []
    for trial in range(4):
        config = dataclasses.replace(
            fast,
            learning_rate=10 ** draw.uniform(-2.5, -1.5),
            schedule=draw.choice(["cosine", "linear"]),
            loss_weights={"sum": draw.choice([0.5, 1.0, 2.0])},
        )
        results = train(config, f"runs/sweep/{trial}", verbose=0)
        right = results["validation"]["accuracy"]["all"]
        print(f"{100 * right:.2f} %  {config.loss_weights}", flush=True)
        found.append((right, trial, results))
    _, trial, best = max(found)
    print(f"trial {trial}: sum {100 * best.accuracy['sum']:.2f} % in the test")


if __name__ == "__main__":
    main(*sys.argv[1:])
