"""What wrong sums look like is counted of all pairs."""

import numpy as np

from benchmarks.answers import wrong_sums
from benchmarks.report import pages
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.task import Task


def predictions(**others):
    """Of the digits 1, 2 and 3, right and sure, but for what is named: image,
    number, class predicted and its probability, by output."""
    task, digits = Task.named(), np.array([1, 2, 3])
    outputs = {}
    for name, output in task.items():
        classes = output.pair_values[digits] - min(output.values)
        outputs[name] = 0.99 * np.eye(output.num_classes)[classes]
    for name, changes in others.items():
        for image, number, place, probability in changes:
            outputs[name][image, number] = 0
            outputs[name][image, number, place] = probability
    images = np.zeros((3, 28, 28), "uint8")
    return Predictions(images, digits, task, outputs)


def test_wrong_sums_are_told_from_wrong_digits(monkeypatch):
    misread = [(1, number, 5, 0.6) for number in range(10)]
    found = wrong_sums.count(
        predictions(
            digit=misread,
            sum=[(0, 3, 5, 0.7), (0, 4, 7, 0.8), (0, 6, 3, 0.5), (1, 0, 5, 1)],
        )
    )
    assert found["wrong"] == 4 and found["beside_right_digit"] == 3
    assert found["off_by_one"] == 0.3333
    assert found["off_by_two_at_most"] == 0.6667
    assert (found["images"], found["images_with_all_numbers"]) == (1, 0)
    assert found["sure_of_right"] == 0.99
    assert found["sure_of_wrong"] == 0.75
    assert found["area"] == 0.75  # 1.0 of one wrong sum is surest
    monkeypatch.setattr(pages, "_load", lambda name: {"heads": {"best": found}})
    text = pages.fill("<!-- wrong_sums: best -->\n<!-- end -->")
    row = "| `best` | 4 | 3 | 33 % | 67 % | 0.9900 | 0.7500 | 0.7500 |"
    assert row in text


def test_sums_wrong_with_the_digit_alone_have_no_size():
    misread = [(1, number, 5, 0.6) for number in range(10)]
    found = wrong_sums.count(predictions(digit=misread, sum=[(1, 0, 5, 0.6)]))
    assert found["beside_right_digit"] == 0 and "off_by_one" not in found
