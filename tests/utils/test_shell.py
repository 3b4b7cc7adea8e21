"""What is printed to be copied does the same in a shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_mnist_sum.utils import shell

ROOT = Path(__file__).parents[2]
# As pip writes it for the entry point of pyproject.toml.
CONSOLE = """#!{python}
import sys
from keras_mnist_sum.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.mark.parametrize(
    "word",
    [
        "plain",
        "it's here",
        "$HOME `ls` \\",
        "two\nlines\tand 'more'\x1b[31m",
        os.fsdecode(b"not UTF-8 \xff\xc3()"),
        Path("-y"),
        Path("runs/-y"),
    ],
)
def test_word_to_copy_means_the_same_to_a_shell(word):
    quoted = shell.quote(word)
    assert quoted.isprintable()
    result = subprocess.run(
        ["bash", "-c", f"printf %s {quoted}"], capture_output=True
    )
    read = os.fsdecode(result.stdout)
    assert os.path.normpath(read) == os.path.normpath(word)
    assert not read.startswith("-")


@pytest.fixture
def console(tmp_path):
    """A console command in a folder of its own, with a space in its name."""
    path = tmp_path / "bin dir" / shell.CONSOLE_COMMAND
    path.parent.mkdir()
    path.write_text(CONSOLE.format(python=sys.executable))
    path.chmod(0o755)
    return path


def test_console_command_is_named_as_it_was_called(console):
    """A real one, by its path."""
    result = subprocess.run(
        [console, "predict"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(f"(see '{console}' predict --help)\n")


def test_console_command_is_called_by_its_name_where_the_shell_finds_it(
    console, tmp_path, monkeypatch
):
    def called():
        return shell.called_as("default")

    monkeypatch.setattr(sys, "argv", [str(console), "fly"])
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, *sys.argv])
    monkeypatch.setenv("PATH", f"{console.parent}:/usr/bin")
    assert called() == "keras-mnist-sum"
    other = tmp_path / console.name
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{console.parent}")
    assert called() == f"'{console}'"


@pytest.mark.parametrize(
    "words, path, expected",
    [
        (
            ["-m", "keras_mnist_sum"],
            Path(sys.executable).parent,
            f"{Path(sys.executable).name} -m keras_mnist_sum",
        ),
        (
            ["-X", "utf8", "-m", "keras_mnist_sum"],
            "/usr",
            f"{sys.executable} -X utf8 -m keras_mnist_sum",
        ),
        (["a b/train.py"], "/usr", f"{sys.executable} 'a b/train.py'"),
    ],
)
def test_python_is_called_as_it_was(
    words, path, expected, tmp_path, monkeypatch
):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "train.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(sys, "argv", ["as Python has it", "--fly", "-m"])
    calling = [sys.executable, *words, *sys.argv[1:]]
    monkeypatch.setattr(sys, "orig_argv", calling)
    assert shell.called_as("default") == expected


def test_where_no_command_was_called_there_is_a_default(monkeypatch):
    for words, given in (
        (["python", "-c", "main()"], ["-c"]),
        (["python", "-"], ["-"]),
        (["python", "-m", "ipykernel", "-f", "x"], ["train.py"]),
    ):
        monkeypatch.setattr(sys, "orig_argv", words)
        monkeypatch.setattr(sys, "argv", given)
        assert shell.called_as("python train.py") == "python train.py"
