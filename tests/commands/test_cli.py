"""How every command starts and fails."""

import subprocess
import sys
from pathlib import Path

import pytest

from keras_mnist_sum import __main__
from keras_mnist_sum.commands import cli
from keras_mnist_sum.errors import DivergedError
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import Stopped
from keras_mnist_sum.errors import WorkerLostError

ROOT = Path(__file__).parents[2]


def shell(program, where):
    """Runs Python code with its output redirected `where` by a shell."""
    return subprocess.run(
        [
            "bash",
            "-c",
            f'"$0" -c "$1" {where}; exit ${{PIPESTATUS[0]}}',
            sys.executable,
            program,
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.parametrize(
    "error, code, text",
    [
        (InputError("Bad. Received: 3"), 2, "error: Bad. Received: 3\n"),
        (InputError("Two\n lines."), 2, "error: Two lines.\n"),
        (
            PermissionError(13, "Permission denied", "a"),
            2,
            "error: Permission denied. Received: 'a'\n",
        ),
        (DivergedError("Too fast."), 3, "error: Too fast.\n"),
        (WorkerLostError("One less."), 4, "error: One less.\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted\n"),
        (Stopped(2, "saved"), 130, "\nSIGINT: saved\n"),
        (Stopped(15, "saved"), 143, "\nSIGTERM: saved\n"),
    ],
)
def test_each_end_has_its_exit_code_and_line(capsys, error, code, text):
    def command():
        raise error

    assert cli.run(command) == code
    assert capsys.readouterr() == ("", text)


@pytest.mark.parametrize("error", [RuntimeError("defect"), OSError(5, "I/O")])
def test_defect_keeps_its_traceback(error):
    def command():
        raise error

    with pytest.raises(type(error)):
        cli.run(command)


@pytest.mark.parametrize("returned, code", [(None, 0), (0, 0), (2, 2)])
def test_exit_code_is_what_the_command_returned(returned, code):
    assert cli.run(lambda: returned) == code


def test_reader_that_has_gone_is_no_traceback():
    program = (
        "import sys\n"
        "from keras_mnist_sum.commands import cli\n"
        "sys.exit(cli.run(lambda: [print('line') for _ in range(10**5)]))\n"
    )
    result = shell(program, "| head -1")
    assert (result.returncode, result.stdout) == (141, "line\n")
    assert result.stderr == ""


@pytest.mark.parametrize(
    "where, code, errors",
    [
        ("| true", 141, ""),
        (
            "> /dev/full",
            2,
            "error: No space left on device. Received: standard output\n",
        ),
    ],
)
def test_few_lines_that_find_no_place_are_no_traceback(where, code, errors):
    """So few that Python writes them as the command ends."""
    program = (
        "import sys, time\n"
        "from keras_mnist_sum.commands import cli\n"
        "time.sleep(0.5)\n"  # The reader has gone.
        "sys.exit(cli.run(lambda: print('line')))\n"
    )
    result = shell(program, where)
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr == errors


@pytest.mark.parametrize("name", __main__.COMMANDS)
def test_every_command_has_help(capsys, name):
    with pytest.raises(SystemExit) as stop:
        __main__.main([name, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: python -m keras_mnist_sum {name} ")


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["export"], ["launch"], ["train", "--speed"]]
)
def test_wrong_command_line_is_one_line(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        __main__.main(arguments)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.out == ""
    assert captured.err.count("\n") == 1
    assert "(see python -m keras_mnist_sum" in captured.err
