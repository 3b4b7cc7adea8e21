"""What `launch` is given: what it means, and what is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_mnist_sum.distribution import launcher
from keras_mnist_sum.distribution.launch_arguments import as_seconds
from keras_mnist_sum.distribution.launch_arguments import as_words
from keras_mnist_sum.errors import InputError
from tests.strange_values import assert_refuses

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command, words",
    [
        ([__file__, "--steps", 3], [__file__, "--steps", "3"]),
        ((__file__, "--rate", 0.5), [__file__, "--rate", "0.5"]),
        ([Path(__file__), b"a"], [__file__, "a"]),
        (iter([__file__]), [__file__]),
        (__file__, [__file__]),
        (Path(__file__), [__file__]),
        (["-m", "json.tool"], ["-m", "json.tool"]),
    ],
)
def test_command_is_a_program_with_its_arguments(command, words):
    assert as_words(command) == words


@pytest.mark.parametrize(
    "command, received",
    [
        (None, "None"),
        (3, "3"),
        ("", "''"),
        ([], "''"),
        ("train.py --steps 3", "'train.py --steps 3'"),
        (["nowhere.py"], "'nowhere.py'"),
        ([None], "None"),
        ([__file__, True], "True"),
        ([__file__, ["x"]], r"\['x'\]"),
        ([__file__, "a\0b"], r"'a\\x00b'"),
        ([__file__, "\ud800"], r"'\\ud800'"),
    ],
)
def test_refuses_what_is_no_command(command, received):
    with pytest.raises(InputError, match=f"Received: {received}$"):
        launcher.launch(command, 1)


@pytest.mark.parametrize(
    "named",
    [
        {"workers": 0},
        {"workers": "2"},
        {"workers": 1.5},
        {"workers": True},
        {"workers": 10**5000},
        {"max_restarts": -1},
        {"max_restarts": None},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": "5"},
        {"share_network": "no"},
    ],
)
def test_refuses_what_is_no_number(named):
    [name] = named
    with pytest.raises(InputError, match=f"`{name}` must .*Received: {name}="):
        launcher.launch([__file__], **{"workers": 1, **named})


def test_strange_arguments_get_one_clear_line():
    assert_refuses(as_words)
    assert_refuses(lambda value: launcher.launch([value], 1))
    assert_refuses(lambda value: as_words([__file__, value]))
    assert_refuses(lambda value: as_seconds(value, "timeout"))
    assert_refuses(lambda value: launcher.launch([__file__], value), [-1, "x"])


def test_timeout_may_be_any_positive_number():
    for seconds in (3, 3.0, np.float32(3), np.int64(3)):
        assert as_seconds(seconds, "timeout") == 3
    assert as_seconds(float("inf"), "timeout") == as_seconds(10**400, "x")


def test_arguments_that_the_system_refuses_are_one_clear_line():
    with pytest.raises(InputError, match="Received: 'Argument list too long'"):
        launcher.launch([__file__, "x" * 10**7], 1)


def test_output_that_the_streams_cannot_write_is_escaped(tmp_path):
    """Where standard streams are ASCII, and nothing else is lost."""
    worker = tmp_path / "worker.py"
    worker.write_text("for i in range(3000): print('é', i, 'x' * 50)")
    program = (
        "from keras_mnist_sum.distribution.launcher import launch\n"
        f"print(launch([{str(worker)!r}], 1))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONIOENCODING": "ascii", "PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
    )
    lines = result.stdout.decode("ascii").splitlines()
    assert b"Traceback" not in result.stderr
    assert lines[0].startswith(r"[0] \xe9 0 ") and lines[-1] == "0"
    assert len(lines) == 3001
