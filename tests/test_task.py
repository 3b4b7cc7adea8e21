import subprocess
import sys

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
