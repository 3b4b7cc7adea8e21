import numpy as np
import pytest

from keras_mnist_sum.evaluation.mistakes import find_mistakes
from tests.evaluation.test_scores import ask


def test_each_image_with_a_wrong_answer_is_one_mistake_surest_first(digits):
    images, labels = digits
    answers = ask(digits)
    digit, total = answers.predictions["digit"], answers.predictions["sum"]
    # Image 3 is taken for a 7, with 60 %; so all its sums are wrong, too.
    digit[3], digit[3, :, 7], digit[3, :, 3] = 0, 0.6, 0.4
    total[3], total[3, :, 18] = 0, 1
    # Of image 8 two sums are wrong; with 5 the model is surer than with 4.
    total[8, 4:6], total[8, 4, 0], total[8, 5, 1] = 0, 0.7, 0.9
    found = find_mistakes(answers)
    assert [m.index for m in found] == [8, 3]
    assert [m.pairs for m in found] == [2, 10]
    assert [(m.name, m.number) for m in found] == [("sum", 5), ("digit", 0)]
    assert [m.confidence for m in found] == pytest.approx([0.9, 0.6])
    scored = answers.evaluation
    assert sum(m.pairs for m in found) == scored.pairs - scored.all_correct


def test_wrong_values_come_after_wrong_digits_the_largest_error_first(digits):
    answers = ask(digits)
    sums = answers.true["sum"].astype("float64")
    sums[5, 1] += 2
    sums[6, 2] -= 3
    answers.predictions["sum"] = sums[..., np.newaxis]
    digit = answers.predictions["digit"]
    digit[7], digit[7, :, 0] = 0, 0.2
    found = find_mistakes(answers)
    assert [m.index for m in found] == [7, 6, 5]
    assert [m.confidence for m in found] == [0.2, None, None]
    assert [m.number for m in found] == [0, 2, 1]


def test_no_mistake_is_found_where_there_is_none(digits):
    assert find_mistakes(ask(digits)) == []
