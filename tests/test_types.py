"""The package's types reach who uses it."""

import subprocess
import sys
from pathlib import Path

import pytest

import keras_mnist_sum

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "tests" / "typed_user.py"


def test_typed_program_uses_every_public_name():
    program = PROGRAM.read_text()
    for name in keras_mnist_sum.__all__:
        assert f"k.{name}" in program, name


def test_dir_shows_the_public_names_and_nothing_else():
    shown = [name for name in dir(keras_mnist_sum) if name[:2] != "__"]
    assert shown == sorted(keras_mnist_sum.__all__)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [False, True], ids=["right", "wrong"])
def test_type_checker_knows_what_every_name_gives(wrong, tmp_path):
    program = PROGRAM.read_text()
    if wrong:
        program = program.replace("answer.sum, int", "answer.sum, str")
    (tmp_path / "program.py").write_text(program)
    result = subprocess.run(
        [sys.executable, "-m", "mypy", tmp_path / "program.py"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (result.returncode != 0) == wrong, result.stdout
    assert wrong == ("[assert-type]" in result.stdout), result.stdout
