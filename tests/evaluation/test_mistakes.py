"""Each image with a wrong prediction is listed once, the surest first."""

import numpy as np
import pytest

from keras_mnist_sum.evaluation.mistakes import find_mistakes
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.task import Task
from tests.evaluation.known_model import known_outputs
from tests.evaluation.known_model import known_predictions

TASK = Task.named()


def test_lists_each_image_with_a_wrong_prediction_once_surest_first(digits):
    outputs = known_outputs(digits)
    digit, total = outputs["digit"], outputs["sum"]
    # Image 3 is taken for a 7, with 60 %; so all its sums are wrong, too.
    digit[3], digit[3, :, 7], digit[3, :, 3] = 0, 0.6, 0.4
    total[3], total[3, :, 18] = 0, 1
    # Of image 8 two sums are wrong; with 5 the model is surer than with 4.
    total[8, 4:6], total[8, 4, 0], total[8, 5, 1] = 0, 0.7, 0.9
    predictions = Predictions(*digits, TASK, outputs)
    found = find_mistakes(predictions)
    assert [m.index for m in found] == [8, 3]
    assert [m.pairs for m in found] == [2, 10]
    assert [(m.name, m.number) for m in found] == [("sum", 5), ("digit", 0)]
    assert [m.confidence for m in found] == pytest.approx([0.9, 0.6])
    scores = predictions.scores
    assert sum(m.pairs for m in found) == scores.pairs - scores.all_correct


def test_wrong_values_come_after_wrong_digits_the_largest_error_first(digits):
    outputs = known_outputs(digits)
    sums = TASK["sum"].pair_values[digits[1]].astype("float64")
    sums[5, 1] += 2
    sums[6, 2] -= 3
    outputs["sum"] = sums[..., np.newaxis]
    outputs["digit"][7], outputs["digit"][7, :, 0] = 0, 0.2
    found = find_mistakes(Predictions(*digits, TASK, outputs))
    assert [m.index for m in found] == [7, 6, 5]
    assert [m.confidence for m in found] == [0.2, None, None]
    assert [m.number for m in found] == [0, 2, 1]


def test_finds_no_mistake_where_there_is_none(digits):
    assert find_mistakes(known_predictions(digits)) == []


def test_a_wrong_digit_hides_the_rest_wherever_it_stands_in_the_task(digits):
    task = Task.named(("product", "greater", "digit"))
    outputs = known_outputs(digits, task=task)
    outputs["digit"][3], outputs["digit"][3, :, 7] = 0, 0.6
    outputs["product"][3], outputs["product"][3, :, 36] = 0, 1
    outputs["greater"][8, 2] = (0.75, 0.25)  # of 0 and 1, for 8 > 2
    found = find_mistakes(Predictions(*digits, task, outputs))
    assert [(m.index, m.name, m.number) for m in found] == [
        (8, "greater", 2),
        (3, "digit", 0),
    ]
    assert [m.confidence for m in found] == pytest.approx([0.75, 0.6])
