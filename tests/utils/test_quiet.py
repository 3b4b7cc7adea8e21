"""Messages of native libraries on standard error are silenced."""

import os
import sys

import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils.quiet import silence


@pytest.mark.parametrize(
    "error, shown",
    [
        (RuntimeError, "noise\n"),  # It may say why.
        (InputError, ""),
        (KeyboardInterrupt, ""),
    ],
)
def test_silenced_output_is_shown_only_where_it_may_help(capfd, error, shown):
    with pytest.raises(error), silence():
        os.write(2, b"noise\n")
        raise error
    with silence():
        os.write(2, b"noise\n")
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == f"{shown}after\n"
