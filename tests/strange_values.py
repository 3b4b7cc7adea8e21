"""Arguments that nobody means, and some that are meant and unusual."""

import datetime
import decimal
import fractions
import io
import itertools
import os
from pathlib import Path

import numpy as np

from keras_mnist_sum.errors import InputError


class Failing:
    """Fails at whatever it is asked."""

    def _fail(self, *args, **named):
        raise RuntimeError("no")

    __repr__ = __str__ = __fspath__ = __array__ = _fail
    __iter__ = __index__ = __getattr__ = _fail


class FailingText(str):
    def __repr__(self):
        raise RuntimeError("no")


class ManyLines:
    def __repr__(self):
        return "line\n\x1b[31m" * 1000


class Endless:
    def __iter__(self):
        return itertools.count()


class NumberAsPath:
    def __fspath__(self):
        return 5


IN_ITSELF = []
IN_ITSELF.append(IN_ITSELF)
DEEP = 5
for _ in range(3000):
    DEEP = [DEEP]
IN_ITSELF_TWICE = {}
IN_ITSELF_TWICE.update(a=IN_ITSELF_TWICE, b=IN_ITSELF_TWICE)
DOUBLED = 1.0
for _ in range(60):
    DOUBLED = {"a": DOUBLED, "b": DOUBLED}

# Nothing here is what any argument means.
STRANGE = [
    *(Failing(), FailingText("x"), ManyLines(), NumberAsPath(), object()),
    *(10**5000, -(10**5000), 10**400, 3j, fractions.Fraction(1, 3)),
    *(decimal.Decimal("sNaN"), float("nan"), float("inf"), -1, 1.5),
    *("a\0b", "x" * 100_000, "/".join(["x" * 200] * 50), "\ud800", "a\n\x1b"),
    *(b"\xff\0", bytearray(b"x"), memoryview(b"x"), Path("a\0b")),
    *(IN_ITSELF, DEEP, {"a": IN_ITSELF}, [10**5000], [[1], [2, 3]], [None]),
    *(Endless(), IN_ITSELF_TWICE, DOUBLED, {"sum": DOUBLED}),
    *({1}, {"a": 1}, {1: {}}, range(3), ("digit", ["x"]), ..., int, os),
    *(datetime.date(2020, 1, 1), ValueError("x"), io.StringIO("x")),
    *(np.datetime64("2020"), np.array(None, object), np.array(["a", "b"])),
    *(np.array(10**5000, object), np.full((3, 28, 28), 10**5000, object)),
    *(np.ma.masked_array(np.zeros((3, 28, 28)), True), np.zeros(3, "V5")),
    *(np.zeros((3, 28, 28), complex), np.zeros((5, 28, 28, 0))),
    *(np.full((3, 28, 28), np.inf), np.zeros(3, [("a", "i4")])),
    *(np.full((3, 28, 28), 65535, "uint16"), np.zeros((1,) * 30)),
]


def assert_refuses(function, values=STRANGE, all_of_them=False):
    """Each value is taken, or gets one clear line."""
    for i, value in enumerate(values):
        try:
            function(value)
        except InputError as error:
            line = str(error)
            assert line.isprintable() and len(line) < 900, (i, line[:999])
            assert "Received: " in line, (i, line)
        else:
            assert not all_of_them, (i, type(value))
