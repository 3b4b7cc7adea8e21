"""Every command in surroundings that lack something: it does without, or says
so in one line before it has done any work. Never a traceback."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_mnist_sum.formats.pretrained import FOLDER

ROOT = Path(__file__).parents[2]
TRAIN = "--preset fast --data {data} --steps 2 --batch-size 8 --run-dir {out}/r"
COMMANDS = {
    "predict": "-m keras_mnist_sum predict {picture} --number 3 --show {out}/s",
    "train": f"{ROOT}/train.py {TRAIN}",
    "evaluate": f"{ROOT}/evaluate.py {FOLDER}/model.onnx --data {{data}} "
    "--json {out}/results.json --report {out}/report",
    "export": f"-m keras_mnist_sum export {FOLDER}/model.keras --format onnx "
    "--out {out}/exported",
    "show-data": "-m keras_mnist_sum show-data --data {data} --batch-size 8 "
    "--out {out}/b.png",
    "launch": f"-m keras_mnist_sum launch --workers 1 -- {ROOT}/train.py "
    f"{TRAIN}",
}
NO_TEMPORARY_FOLDER = """
import tempfile
def refuse():
    raise FileNotFoundError(2, "No usable temporary directory found in []")
tempfile._get_default_tempdir = refuse
"""
NO_CLOCK = """
import time
begin, localtime = time.time(), time.localtime
clock = time.time
time.time = lambda: clock() - begin
time.localtime = lambda x=None: localtime(time.time() if x is None else x)
"""
# What is written around the command, what Python begins with, variables, and
# which commands can do without what is missing.
SURROUNDINGS = {
    "closed streams": ("{} <&- >&- 2>&-", "", {}, {*COMMANDS}),
    "full streams": ("{} > /dev/full 2>&1", "", {}, set()),
    "no temporary folder": ("{}", NO_TEMPORARY_FOLDER, {}, {"predict"}),
    "no home": ("{}", "", {"HOME": "/proc/nowhere"}, {*COMMANDS}),
    "no working directory": (
        "mkdir gone; cd gone; rmdir ../gone; {}",
        "",
        {},
        {*COMMANDS},
    ),
    "no characters": (
        "{}",
        "",
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"predict", "evaluate", "show-data"},
    ),
    "no clock": ("{}", NO_CLOCK, {}, {*COMMANDS} - {"train", "launch"}),
}


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """The path of a picture of a one."""
    pixels = np.zeros((60, 60), "uint8")
    pixels[10:50, 28:33] = 255
    path = tmp_path_factory.mktemp("picture") / "one.png"
    Image.fromarray(pixels).save(path)
    return path


def run(command, shell, program, env, out, picture, npz, folder):
    (folder / "sitecustomize.py").write_text(program)
    words = COMMANDS[command].format(
        picture=picture, data=npz, out=shlex.quote(os.fsdecode(out))
    )
    unset = ("XDG_CACHE_HOME", "MPLCONFIGDIR", "PYTHONUNBUFFERED")
    return subprocess.run(
        ["bash", "-c", shell.format(f"{sys.executable} {words}")],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=folder,
        env={
            **{k: v for k, v in os.environ.items() if k not in unset},
            "PYTHONPATH": f"{folder}:{ROOT}",
            **env,
        },
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_command_does_without_or_says_so_before_any_work(
    tmp_path, picture, npz, name, command
):
    shell, program, env, able = SURROUNDINGS[name]
    # Names of files may hold any bytes.
    out = tmp_path / ("out" if name != "no characters" else "out \udcff")
    out.mkdir()
    result = run(command, shell, program, env, out, picture, npz, tmp_path)
    assert "Traceback" not in result.stderr
    assert "ignored" not in result.stderr
    lines = [x for x in result.stderr.splitlines() if "drawn" not in x]
    if command in able:
        assert result.returncode == 0, result.stderr
        assert not lines
        assert any(out.iterdir())
    elif name != "full streams":
        assert result.returncode == 2, result.stderr
        [line] = lines
        assert line.removeprefix("[0] ").startswith("error: ")
        assert "Received: " in line
        assert not any(out.iterdir())
    else:
        assert result.returncode in (2, 141)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_folder_that_cannot_be_written_is_noticed_before_any_work(
    tmp_path, picture, npz, command
):
    out = Path("/proc/self/nowhere")
    result = run(command, "{}", "", {}, out, picture, npz, tmp_path)
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert "Received: " in line and "/proc/self/nowhere" in line
    assert "epoch" not in result.stdout and "10,000" not in result.stdout
