"""A program with every public name, for type checkers; nobody runs it."""

from pathlib import Path
from typing import assert_type

import keras
import numpy as np

import keras_mnist_sum as k


def choose(name: str = "fast") -> k.Config:
    preset = k.presets.get(name)
    assert_type(preset.parameters, int)
    assert_type(k.Config(width=16).learning_rate, float)
    return preset.config


def learn(config: k.Config, run_dir: Path) -> k.Results:
    task = k.Task(digit=lambda d, n: d, product=lambda d, n: d * n)
    assert_type(task["product"].num_classes, int)
    results = k.train(
        config,
        run_dir,
        task=task,
        callbacks=[keras.callbacks.TerminateOnNaN()],
        verbose=0,
    )
    assert_type(results.accuracy["product"], float)
    assert_type(results.steps, int)
    return results


def learn_in_plain_keras(config: k.Config) -> None:
    mnist = k.load_mnist("sample")
    assert_type(mnist.train_images, np.ndarray)
    model = k.compile_model(k.build_model(config), config)
    model.fit(
        k.training_dataset(mnist.train_images, mnist.train_labels, config),
        shuffle=False,
    )
    model.save("model.keras")
    k.build_adder(digits=2).save("adder.keras")
    for saved in (k.load_model("model.keras"), k.load_pretrained()):
        scores = k.evaluate(saved, mnist)
        assert_type(scores.table(), str)
        assert_type(scores.accuracy(), dict[str, float])


def ask(pictures: list[str]) -> int:
    predictor = k.Predictor.load()
    try:
        answer = predictor(pictures[0], 3)
    except k.InputError as error:
        print(error)
        return 0
    assert_type(answer, k.Answer)
    assert_type(answer.sum, int)
    assert_type(answer.probabilities, dict[str, float])
    answers = predictor(pictures, range(len(pictures)))
    assert_type(answers, list[k.Answer])
    return max(answer.sum for answer in answers)
