import subprocess
import sys

import numpy as np
import pytest

from keras_mnist_sum import task
from keras_mnist_sum.errors import InputError


@pytest.mark.parametrize("difference", task.DIFFERENCES)
def test_tables_are_plain_arithmetic_for_all_pairs(difference):
    outputs = task.outputs(difference)
    assert list(outputs) == ["digit", "sum", "difference"]
    for digit in range(10):
        for number in range(10):
            subtracted = digit - number
            if difference == "absolute":
                subtracted = abs(subtracted)
            answers = {
                name: output.values[output.table[digit, number]]
                for name, output in outputs.items()
            }
            assert answers == {
                "digit": digit,
                "sum": digit + number,
                "difference": subtracted,
            }


def test_classes_are_the_values_in_order():
    outputs = task.outputs("signed")
    assert outputs["digit"].values == tuple(range(10))
    assert outputs["sum"].values == tuple(range(19))
    assert outputs["difference"].values == tuple(range(-9, 10))
    assert task.outputs("absolute")["difference"].values == tuple(range(10))


def test_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        task.outputs()["sum"].table[0, 0] = 5


@pytest.mark.parametrize("difference", task.DIFFERENCES)
def test_probabilities_and_values_are_read_as_the_same_integers(difference):
    for output in task.outputs(difference).values():
        probabilities = np.eye(output.num_classes)[output.table]
        values = output.truth[..., np.newaxis] + np.float32(0.4)
        for predictions in (probabilities, values, values - np.float32(0.8)):
            np.testing.assert_array_equal(
                output.answers(predictions), output.truth
            )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -7.0, 18.6])
def test_value_that_is_no_sum_is_never_a_right_answer(value):
    output = task.outputs()["sum"]
    answer = output.answers(np.full((3, 1), value, "float32"))
    assert answer.shape == (3,) and not set(answer) & set(output.values)


def test_unknown_difference_is_refused():
    with pytest.raises(InputError, match="Received: difference='modulo'"):
        task.outputs("modulo")


def test_task_needs_no_tensorflow():
    program = (
        "import sys, keras_mnist_sum.task\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert result.stdout.strip() == "set()", result.stderr


def test_questions_are_written_as_people_write_them():
    assert task.written(7, 3) == {"sum": "7 + 3", "difference": "|7 − 3|"}
    assert task.written(3, 7, "signed")["difference"] == "3 − 7"
