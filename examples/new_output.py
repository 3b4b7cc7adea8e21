"""Teaches the model one answer more: the product of digit and number.

    python -m examples.new_output [DATA] [STEPS]

DATA is what `train.py --data` takes. The task is the only thing that is new:
targets, model, scores, pictures and files follow from it.
"""

import dataclasses
import sys

import numpy as np

from keras_mnist_sum import Predictor
from keras_mnist_sum import Task
from keras_mnist_sum import load_model
from keras_mnist_sum import presets
from keras_mnist_sum import train

task = Task(
    digit=lambda d, n: d,
    sum=lambda d, n: d + n,
    product=lambda d, n: d * n,  # 37 values, from 0 to 81
)


def main(data: str = "auto", steps: str = "340") -> None:
    config = presets.get("fast").config
    config = dataclasses.replace(config, data=data, steps=int(steps))
    results = train(config, "runs/product", task=task)
    print(f"product {100 * results['accuracy']['product']:.2f} % right")

    model = load_model("runs/product/model.keras")
    print("outputs", {name: x.shape for name, x in model.output.items()})

    seven = np.zeros((28, 28), "uint8")
    seven[6:9, 8:20] = seven[9:23, 16:19] = 255
    answer = Predictor.load("runs/product")(seven, 6)
    print(f"{answer.digit} times 6 is {answer.product}")


if __name__ == "__main__":
    main(*sys.argv[1:])
