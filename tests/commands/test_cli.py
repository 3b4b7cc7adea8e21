"""How every command starts and fails."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import evaluate
import keras_mnist_sum
import train
from keras_mnist_sum import __main__
from keras_mnist_sum.commands import cli
from keras_mnist_sum.errors import DivergedError
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import Stopped
from keras_mnist_sum.errors import WorkerLostError

ROOT = Path(__file__).parents[2]


def shell(program, where, **env):
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
        env={**os.environ, **env},
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
        (Stopped(1, "saved"), 129, "\nSIGHUP: saved\n"),
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


@pytest.mark.parametrize(
    "where, code, errors",
    [
        # All that fails is said where it still can be.
        ("<&- >&-", 0, ""),
        ("2>&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        ("1</dev/null", 2, "Received: standard output\n"),
        ("> /dev/full 2>&1", 2, ""),
    ],
)
def test_streams_that_are_closed_or_fail_are_no_traceback(
    tmp_path, where, code, errors
):
    """And no file gets what was meant for one of them."""
    program = (
        "import os, sys\n"
        "from keras_mnist_sum.commands import cli\n"
        "def command():\n"
        "    with open(os.environ['FILE'], 'w') as file:\n"
        "        print('out')\n"
        "        print('error', file=sys.stderr)\n"
        "        os.write(2, b'native')\n"
        "        sys.stdin.fileno()\n"
        "        file.write('content')\n"
        "sys.exit(cli.run(command))\n"
    )
    file = tmp_path / "file"
    result = shell(program, where, FILE=str(file), PYTHONUNBUFFERED="")
    assert result.returncode == code
    assert "Traceback" not in result.stderr
    assert "ignored" not in result.stderr  # "Exception ignored in ..."
    assert result.stderr.endswith(errors)
    assert "full" in where or file.read_text() == "content"


def test_help_that_nobody_reads_is_no_traceback():
    program = "from keras_mnist_sum import __main__; __main__.main(['--help'])"
    result = shell(program, "> /dev/full", PYTHONUNBUFFERED="")
    assert result.stderr == (
        "error: No space left on device. Received: standard output\n"
    )


def test_wrong_command_line_that_nobody_reads_has_its_exit_code():
    program = "from keras_mnist_sum import __main__; __main__.main(['fly'])"
    result = shell(program, "2> /dev/full", PYTHONUNBUFFERED="")
    assert result.returncode == 2


@pytest.mark.parametrize("name, code", [("SIGHUP", 129), ("SIGTERM", 143)])
def test_command_that_is_told_to_stop_says_so(name, code):
    with sleeping_command() as process:
        process.send_signal(getattr(signal, name))
        assert process.communicate()[1] == f"\n{name}: stopped\n"
    assert process.returncode == code


def test_command_goes_on_under_nohup():
    with sleeping_command("trap '' HUP;") as process:
        process.send_signal(signal.SIGHUP)
        process.terminate()
        assert process.communicate()[1] == "\nSIGTERM: stopped\n"


def sleeping_command(before=""):
    """A process with a command that goes on for a minute."""
    program = (
        "import sys, time\n"
        "from keras_mnist_sum.commands import cli\n"
        "def command():\n"
        "    print('on', flush=True)\n"
        "    time.sleep(60)\n"
        "sys.exit(cli.run(command))\n"
    )
    process = subprocess.Popen(
        ["bash", "-c", f'{before} exec "$0" -c "$1"', sys.executable, program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout.readline() == "on\n"
    return process


@pytest.mark.parametrize(
    "main, arguments",
    [
        (__main__.main, []),
        (__main__.main, ["predict"]),
        (train.main, []),
        (evaluate.main, []),
    ],
)
def test_every_command_says_its_version(capsys, main, arguments):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--version"])
    assert stop.value.code == 0
    version = f"keras_mnist_sum {keras_mnist_sum.__version__}\n"
    assert capsys.readouterr() == (version, "")


def test_without_a_command_it_shows_its_help(capsys):
    with pytest.raises(SystemExit) as stop:
        __main__.main([])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert all(f"\n    {name}" in out for name in __main__.COMMANDS)


@pytest.mark.parametrize("name", __main__.COMMANDS)
def test_every_command_has_help(capsys, name):
    with pytest.raises(SystemExit) as stop:
        __main__.main([name, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: python -m keras_mnist_sum {name} ")


@pytest.mark.parametrize(
    "arguments", [["fly"], ["export"], ["launch"], ["train", "--speed"]]
)
def test_wrong_command_line_is_one_line(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        __main__.main(arguments)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.out == ""
    assert captured.err.count("\n") == 1
    assert "(see python -m keras_mnist_sum" in captured.err
