"""What callers give, in whatever form, and how an error shows it."""

from pathlib import Path

import numpy as np
import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.utils.arguments import as_flag
from keras_mnist_sum.utils.arguments import as_integer
from keras_mnist_sum.utils.arguments import as_list
from keras_mnist_sum.utils.arguments import as_path
from tests.strange_values import STRANGE
from tests.strange_values import assert_refuses


def test_shows_anything_in_one_short_line():
    for value in STRANGE:
        line = shown(value)
        assert line.isprintable() and 0 < len(line) <= 60
        assert len(shown(value, 10)) <= 10


@pytest.mark.parametrize(
    "value, line",
    [
        (None, "None"),
        ("3", "'3'"),
        (-(10**39), "-1000000000000000000000000000000000000000"),
        ([10**5000], "[an integer of 5,001 digits]"),
        (np.zeros((2, 3), "uint8"), "an array of uint8 of shape (2, 3)"),
        ("ab" * 40, f"'{'ab' * 13}a...{'ab' * 13}ab'"[:60]),
    ],
)
def test_shows_what_came(value, line):
    assert shown(value) == line


@pytest.mark.parametrize("given", ["a/b", b"a/b", Path("a/b"), np.str_("a/b")])
def test_path_may_be_text_bytes_or_a_path(given):
    assert as_path(given, "It must be a path") == Path("a/b")


@pytest.mark.parametrize(
    "given, why",
    [
        ("", "''"),
        (b"", "b''"),
        ("a\0b", r"'a\\x00b' \(it holds a NUL\)"),
        (Path("a\0b"), "it holds a NUL"),
        (b"a\0b", "it holds a NUL"),
        ("\ud800", "it holds no text"),
        ("x" * 300, "File name too long"),
        ("/".join(["x" * 200] * 50), "File name too long"),
        (None, "None"),
        (3, "3"),
    ],
)
def test_refuses_what_is_no_path_of_the_system(given, why):
    with pytest.raises(InputError, match=f"^It must be. Received: .*{why}"):
        as_path(given, "It must be")


@pytest.mark.parametrize("given", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_integer_may_be_one_of_numpy(given):
    assert type(as_integer(given, "count", 1, 3)) is int


@pytest.mark.parametrize(
    "given", [0, 4, True, np.True_, 3.0, "3", None, [3], np.array([3]), 3j]
)
def test_refuses_what_is_no_integer_of_the_range(given):
    with pytest.raises(InputError, match="integer from 1 to 3. Received: coun"):
        as_integer(given, "count", 1, 3)


def test_flag_is_true_or_false():
    assert as_flag(True, "f") and as_flag(np.True_, "f") and as_flag(1, "f")
    assert not as_flag(0, "f")
    for given in (None, 2, "yes", np.zeros(2)):
        with pytest.raises(InputError, match="True or False. Received: f="):
            as_flag(given, "f")


def test_list_is_made_of_what_has_parts_and_is_no_text():
    assert as_list(iter("ab")) == ["a", "b"]
    for given in ("ab", b"ab", 3, None, np.array(3)):
        assert as_list(given) is None


def test_strange_values_get_one_line():
    assert_refuses(lambda value: as_integer(value, "x", 0, 5), all_of_them=True)
    assert_refuses(lambda value: as_flag(value, "x"), all_of_them=True)
    assert_refuses(lambda value: as_path(value, "A path must be one"))
