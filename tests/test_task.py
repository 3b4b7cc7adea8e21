import copy
import dataclasses
import json
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.task import DIFFERENCES
from keras_mnist_sum.task import FORMULAS
from keras_mnist_sum.task import Output
from keras_mnist_sum.task import Task


def digit(d, n):
    return d


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_tables_are_plain_arithmetic_for_all_pairs(difference):
    task = Task.named(difference=difference)
    assert list(task) == ["digit", "sum", "difference"]
    for digit in range(10):
        for number in range(10):
            subtracted = digit - number
            if difference == "absolute":
                subtracted = abs(subtracted)
            answers = {
                name: output.values[output.table[digit, number]]
                for name, output in task.items()
            }
            assert answers == {
                "digit": digit,
                "sum": digit + number,
                "difference": subtracted,
            }


def test_classes_are_the_values_in_order():
    task = Task.named(difference="signed")
    assert task["digit"].values == tuple(range(10))
    assert task["sum"].values == tuple(range(19))
    assert task["difference"].values == tuple(range(-9, 10))
    absolute = Task.named(difference="absolute")
    assert absolute["difference"].values == tuple(range(10))


def test_product_has_only_the_values_that_occur():
    task = Task(digit=digit, product=lambda d, n: d * n)
    product = task["product"]
    assert product.num_classes == 37
    assert product.values[:3] == (0, 1, 2) and product.values[-2:] == (72, 81)
    expected = np.outer(np.arange(10), np.arange(10))
    np.testing.assert_array_equal(product.pair_values, expected)
    assert Task.named(("digit", "product"))["product"].values == product.values


def test_comparison_has_two_classes():
    greater = Task(greater=lambda d, n: d > n, digit=digit)["greater"]
    assert greater.values == (0, 1)
    np.testing.assert_array_equal(greater.pair_values, np.tri(10, k=-1))


def test_outputs_keep_their_order():
    functions = {"sum": lambda d, n: d + n, "digit": digit}
    assert list(Task(**functions)) == ["sum", "digit"]
    assert list(Task.named(("sum", "digit"))) == ["sum", "digit"]


@pytest.mark.parametrize("name", FORMULAS)
def test_named_outputs_are_those_of_their_formulas(name):
    formula, text = FORMULAS[name]
    output = Task.named({"digit", name})[name]
    for digit in range(10):
        for number in range(10):
            value = output.pair_values[digit, number]
            assert value == formula(digit, number)
    assert (output.name, output.text) == (name, text)


def test_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        Task.named()["sum"].table[0, 0] = 5


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_probabilities_and_values_decode_to_the_same_integers(name, difference):
    output = Task.named({"digit", name}, difference)[name]
    probabilities = np.eye(output.num_classes)[output.table]
    values = output.pair_values[..., np.newaxis] + np.float32(0.4)
    for predictions in (probabilities, values, values - np.float32(0.8)):
        decoded = output.decode(predictions)
        np.testing.assert_array_equal(decoded, output.pair_values)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -7.0, 18.6])
def test_value_that_is_no_sum_is_never_a_right_answer(value):
    output = Task.named()["sum"]
    answer = output.decode(np.full((3, 1), value, "float32"))
    assert answer.shape == (3,) and not set(answer) & set(output.values)


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda d, n: d / 2, "must give an integer"),
        (lambda d, n: "seven", "must give an integer"),
        (lambda d, n: (d, n), "must give an integer"),
        (lambda d, n: None, "must give an integer"),
        (lambda d, n: d // n, "ZeroDivisionError"),
        (lambda d: d, "TypeError"),
        (3, "TypeError"),
        (lambda d, n: [d] * n, "must give an integer"),
        (lambda d, n: 7, "at least two classes"),
        (lambda d, n: 10**6 * d, "below 1,000,000"),
        (lambda d, n: 2**63 * d, "must give an integer"),
        (lambda d, n: 2**64 - 1 - d, "must give an integer"),
        (lambda d, n: d + 10**6, "below 1,000,000"),
    ],
)
def test_rejects_function_that_gives_no_integer(function, message):
    with pytest.raises(InputError, match=f"(?s){message}.*") as error:
        Task(digit=digit, other=function)
    assert "other" in str(error.value) and "Received: " in str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        "image",
        "number",
        "all",
        "loss",
        "agree",
        "Sum",
        "_x",
        "2x",
        "ä",
        "x" * 41,
    ],
)
def test_rejects_name_that_no_output_can_have(name):
    with pytest.raises(InputError, match=f"name must be.*Received: {name!r}"):
        Task(digit=digit, **{name: lambda d, n: d + n})


@pytest.mark.parametrize(
    "form", [np.bool_, np.int64, np.uint8, lambda x: np.array(x), bool]
)
def test_values_may_be_integers_of_numpy(form):
    task = Task(digit=digit, greater=lambda d, n: form(d > n))
    expected = np.tri(10, k=-1)
    np.testing.assert_array_equal(task["greater"].pair_values, expected)
    assert json.loads(json.dumps(task.to_dict())) == task.to_dict()


def test_failing_function_is_named_with_the_pair_that_it_failed_for():
    def other(d, n):
        if (d, n) == (7, 3):
            raise KeyError("seven")
        return d

    with pytest.raises(InputError, match="For 7 and 3 .*KeyError..seven") as x:
        Task(digit=digit, other=other)
    assert isinstance(x.value.__cause__, KeyError)
    for value in (0.5, 3.0, Fraction(3), "3", None, np.nan, 3j, [3]):
        with pytest.raises(InputError, match="must give an integer. For 0 and"):
            Task(digit=digit, other=lambda d, n, value=value: value)


@pytest.mark.parametrize("unnamed", [digit, {"digit": digit}, Task.named()])
def test_outputs_must_be_named(unnamed):
    with pytest.raises(InputError, match=r"in Task\(digit=.*Received: "):
        Task(unnamed)


@pytest.mark.parametrize(
    "names", [5, None, "digit", b"digit", digit, [["sum"]]]
)
def test_names_must_be_a_list_of_names(names):
    with pytest.raises(InputError, match="`outputs` must name some .*Received"):
        Task.named(names)


def test_outputs_may_come_in_any_collection_and_must_be_outputs():
    outputs = Task.named()
    assert Task.of(iter(outputs.values())) == outputs
    for wrong in (5, digit, ["digit"], [None], outputs, np.array(3)):
        with pytest.raises(InputError, match="a list of `Output`. Received: "):
            Task.of(wrong)


def test_output_keeps_its_own_table():
    table = np.eye(10, dtype=int)
    output = Output("same", (0, 1), table, "")
    table[0, 0] = 0
    assert output.table[0, 0] == 1 and output.values == (0, 1)


def test_decodes_lists_and_refuses_other_classes():
    output = Task.named()["sum"]
    assert output.decode([[3.2], [18]]).tolist() == [3, 18]
    with pytest.raises(InputError, match=r"\(..., 19\) or .*Received: an "):
        output.decode(np.zeros((2, 18)))


def test_rejects_task_without_the_digit():
    with pytest.raises(InputError, match=r"Received: \['sum'\]"):
        Task(sum=lambda d, n: d + n)
    with pytest.raises(InputError, match="one of them `digit`"):
        Task(digit=lambda d, n: n)
    with pytest.raises(InputError, match="one of them `digit`"):
        Task()


def test_rejects_two_outputs_of_one_name():
    with pytest.raises(InputError, match="different names"):
        Task.named(("digit", "sum", "sum"))


def test_rejects_output_called_as_the_probability_of_another():
    with pytest.raises(InputError, match="Received: digit, digit_probability"):
        Task(digit=digit, digit_probability=lambda d, n: n)


def test_rejects_unknown_difference():
    with pytest.raises(InputError, match="Received: difference='modulo'"):
        Task.named(difference="modulo")


def test_rejects_unknown_output_name():
    with pytest.raises(InputError, match="product.*Received: 'quotient'"):
        Task.named(("digit", "quotient"))


@pytest.mark.parametrize(
    "task",
    [
        Task.named(),
        Task.named(tuple(FORMULAS), "signed"),
        Task(digit=digit, parity=lambda d, n: (d + n) % 2),
    ],
)
def test_task_survives_json(task):
    content = json.loads(json.dumps(task.to_dict()))
    found = Task.from_dict(content)
    assert found == task and list(found) == list(task)
    for name, output in task.items():
        assert found[name].values == output.values
        assert found[name].question(7, 3) == output.question(7, 3)


def test_tasks_that_compute_the_same_are_equal_however_they_are_written():
    own = Task(
        digit=lambda d, n: d,
        sum=lambda d, n: d + n,
        difference=lambda d, n: abs(d - n),
    )
    assert own == Task.named() != Task.named(difference="signed")
    longer = dataclasses.replace(own["sum"], text="x" * 200)
    task = Task.of([own["digit"], longer])
    assert Task.from_dict(task.to_dict()) == task


def test_tasks_differ_by_their_tables():
    assert Task.named() != Task.named(difference="signed")
    assert Task.named() != Task.named(("digit", "sum"))
    assert Task.named() != list(Task.named())


@pytest.mark.parametrize(
    "content",
    [
        None,
        3,
        "digit",
        [],
        {},
        {"digit": None},
        {"digit": {}},
        {f"x{i}": {} for i in range(1000)},
    ],
)
def test_rejects_content_that_is_no_task(content):
    with pytest.raises(InputError, match="Received: "):
        Task.from_dict(content)


@pytest.mark.parametrize(
    "key, value",
    [
        ("values", []),
        ("values", [3]),
        ("values", "0123456789"[:5]),
        ("values", [0] * 10),
        ("values", [*range(9), float("inf")]),
        ("values", [*range(9), float("nan")]),
        ("values", [*range(9), 10**400]),
        ("values", [*range(9), None]),
        ("values", range(9, -1, -1)),
        ("table", None),
        ("table", []),
        ("table", [[0] * 10] * 9),
        ("table", [[0] * 10] * 10),
        ("table", [[11] * 10] * 10),
        ("table", [[-1] * 10] * 10),
        ("table", [[2**70] * 10] * 10),
        ("table", [["x"] * 10] * 10),
        ("table", [[[0] * 10] * 10] * 10),
    ],
)
def test_rejects_damaged_output(key, value):
    content = copy.deepcopy(Task.named().to_dict())
    content["sum"][key] = value
    with pytest.raises(InputError, match="Received: "):
        Task.from_dict(content)


def test_hostile_text_is_cut_and_not_formatted():
    content = Task.named().to_dict()
    content["sum"]["text"] = "{d.__class__} {n!r:>9999999}" + 999 * "x"
    question = Task.from_dict(content)["sum"].question(7, 3)
    assert len(question) == 80 and question.startswith("{d.__class__} {n!r")


def test_rejects_output_whose_table_and_values_differ():
    table = Task.named()["sum"].table
    with pytest.raises(InputError, match="Received: sum with values"):
        Output("sum", tuple(range(18)), table, "{d} + {n}")


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
    def questions(task, digit, number):
        return {x.name: x.question(digit, number) for x in task.values()}

    assert questions(Task.named(), 7, 3) == {
        "digit": "digit",
        "sum": "7 + 3",
        "difference": "|7 − 3|",
    }
    assert questions(Task.named(difference="signed"), 3, 7)["difference"] == (
        "3 − 7"
    )
    others = Task(digit=digit, product=lambda d, n: d * n)
    assert questions(others, 3, 7)["product"] == "product(3, 7)"
    named = Task.named(("digit", "product", "greater"))
    assert questions(named, 3, 7) == {
        "digit": "digit",
        "product": "3 × 7",
        "greater": "3 > 7",
    }
