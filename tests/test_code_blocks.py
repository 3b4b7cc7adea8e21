"""Code of the pages runs as it stands there.

A block that does not run here is named in `code_blocks.ELSEWHERE`, with the
reason or the test that has it.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL import ImageDraw

from keras_mnist_sum import presets
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.formats.pretrained import checked_path
from keras_mnist_sum.formats.run_directory import Run
from tests.code_blocks import ELSEWHERE
from tests.code_blocks import PAGES
from tests.code_blocks import ROOT
from tests.code_blocks import blocks
from tests.code_blocks import code
from tests.code_blocks import commands
from tests.code_blocks import printed
from tests.code_blocks import where

# Stands for `python` on the command line: what trains does so for a moment,
# unless the page says otherwise.
PYTHON = """#!{executable}
import os, sys
words = sys.argv[1:]
for i, word in enumerate(words):
    if word == "train.py":
        small = "--data sample --steps 3 --batch-size 32 --width 2"
        words[i + 1 : i + 1] = small.split()
if words[0] == "-m" and words[1].startswith("examples.") and len(words) == 2:
    words += ["sample", "3"]
os.execv({executable!r}, [{executable!r}, *words])
"""
# Stands for installers: what they would read is there.
INSTALLER = """#!/bin/sh -e
for word; do
    case $word in *.txt) test -f "$word";; esac
done
"""
WORDS = {
    "saved_model|litert|onnx|keras": "onnx",
    "compare RUN RUN": "compare RUN TARGET",
    "--number N": "--number 3",
    "--teachers runs/one runs/two": "--teachers runs/one",  # They are equal.
    " --epochs 3": "",  # The steps are given.
    " --steps 2000": "",
    "--preset accurate": "--preset fast",  # Its network takes long to compile.
    "--preset baseline_classification": "--preset fast",
}


def draw_seven(path):
    seven = Image.new("L", (200, 200), "white")
    draw = ImageDraw.Draw(seven)
    draw.line([(60, 50), (140, 50), (90, 150)], fill="black", width=14)
    seven.save(path)


def make_run(path, seed):
    """A run that `train` seems to have finished: the pretrained model."""
    path.mkdir(parents=True)
    config = presets.get("accurate").config.to_json()
    config = config.replace('"auto"', '"sample"', 1).replace(
        '"seed": 0', f'"seed": {seed}'
    )
    Run(path).config.write_text(config)
    shutil.copy(checked_path("model.keras"), Run(path).model)


@pytest.fixture
def place(tmp_path):
    """A folder that looks like the repository, with what pages name in it."""
    for path in ROOT.iterdir():
        if path.name not in ("runs", "seven.png") and path.name[0] != ".":
            (tmp_path / path.name).symlink_to(path)
    names = "TARGET RUN runs/a runs/b runs/c runs/one".split()
    for seed, name in enumerate(names):
        make_run(tmp_path / name, seed)
    for name in ("seven.png", "photo.jpg"):
        draw_seven(tmp_path / name)
    (tmp_path / "PICTURE...").mkdir()
    draw_seven(tmp_path / "PICTURE..." / "7.png")
    (tmp_path / "PATH").mkdir()
    mnist = load_mnist("sample")
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.save(tmp_path / "PATH" / f"{name}.npy", getattr(mnist, name)[:200])
    with zipfile.ZipFile(checked_path("model.keras")) as archive:
        archive.extractall(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    scripts = {
        "python": PYTHON.format(executable=sys.executable),
        "keras-mnist-sum": '#!/bin/sh\nexec python -m keras_mnist_sum "$@"\n',
        "pip": INSTALLER,
        # Says what it found, instead of serving it.
        "tensorboard": "#!/bin/sh\n"
        f'exec {Path(sys.executable).parent}/tensorboard --inspect "$@"\n',
    }
    for name, script in scripts.items():
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
    return tmp_path


def run(command, place):
    path = os.pathsep.join([str(place / "tools"), os.environ["PATH"]])
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def roughly(text):
    """Without decimals, numbers from 10 on and how it is laid out."""
    return re.sub(r"\d*\.\d+|[\d,]{2,}", "N", text).split()


def test_each_block_runs_or_says_where_it_does():
    used = set()
    for page in PAGES:
        for language, text in blocks(page):
            assert language in ("", "python", "js", "text"), (page, language)
            used |= {
                x
                for x in ELSEWHERE
                if page.name == x[0]
                and where(page, text)
                and text.startswith(x[1])
            }
            assert language != "js" or where(page, text), (page, text)
    assert used == set(ELSEWHERE)
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"\btest_\w+\.py", " ".join(ELSEWHERE.values()))
    assert set(named) <= tests


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [x for x in PAGES if code(x, "python")], ids=lambda x: x.name
)
def test_python_of_a_page_runs(page, place):
    """All its blocks, one after another, with nothing on standard error, and
    print what the page says, but for numbers that another processor changes."""
    # What trains on MNIST does so on the sample here.
    text = "\nprint('---')\n".join(code(page, "python"))
    text = text.replace('presets.get("fast").config,', "_config,")
    (place / "page.py").write_text(
        "import dataclasses\n"
        "from keras_mnist_sum import presets\n"
        "_config = dataclasses.replace(\n"
        '    presets.get("fast").config, data="sample", steps=60\n'
        ")\n" + text
    )
    result = run([sys.executable, "page.py"], place)
    # Imported by a module of ours, TensorFlow says what it likes.
    assert result.stderr == "" or page.name == "api.md"
    for expected, found in zip(printed(page), result.stdout.split("---\n")):
        if expected:
            assert roughly(found) == roughly(expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [x for x in PAGES if commands(x)], ids=lambda x: x.name
)
def test_commands_of_a_page_run(page, place):
    if page.name == "tutorial.md":
        pytest.importorskip("pydot", reason="requirements-examples.txt")
    if page.name == "export.md" and not shutil.which("zip"):
        pytest.skip("no zip: apt-get install zip")
    for text in commands(page):
        for word, instead in WORDS.items():
            text = text.replace(word, instead)
        run(["bash", "-ec", text], place)
