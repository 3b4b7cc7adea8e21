"""Teaches the model one answer more: the product of digit and number.

    python -m examples.new_output [DATA] [STEPS]

DATA is what `train.py --data` takes. Nothing but the task is new: all follows.
"""

import dataclasses
import sys

from keras_mnist_sum import Predictor
from keras_mnist_sum import Task
from keras_mnist_sum import load_mnist
from keras_mnist_sum import load_model
from keras_mnist_sum import presets
from keras_mnist_sum import train

task = Task(
    digit=lambda d, n: d,
    sum=lambda d, n: d + n,
    product=lambda d, n: d * n,  # 37 values, from 0 to 81
)


def main(data: str = "auto", steps: str = "310") -> None:
    fast = presets.get("fast").config
    config = dataclasses.replace(fast, data=data, steps=int(steps))
    results = train(config, "runs/product", task=task)
    print(f"product {100 * results.accuracy['product']:.2f} % right")

    model = load_model("runs/product/model.keras")
    print("outputs", {name: x.shape for name, x in model.output.items()})

    image = load_mnist(data).test_images[0]
    answer = Predictor.load("runs/product")(image, 6)
    print(f"{answer.digit} times 6 is {answer.product}")


if __name__ == "__main__":
    main(*sys.argv[1:])
