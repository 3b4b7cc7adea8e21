"""Every example runs as a user runs it."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PROGRAMS = sorted((ROOT / "examples").rglob("*.py"))
ARGUMENTS = {"predict": []}  # The others take data and a number of steps.
# Run by a test of their own.
ELSEWHERE = {"mlflow_callback", "ray_train", "serve_fastapi"}


def arguments_to_run(*command, folder):
    return dict(
        args=[sys.executable, *command],
        cwd=folder,
        text=True,
        env={
            **os.environ,
            # What comes before is where `requirements-examples.txt` may be.
            "PYTHONPATH": os.pathsep.join([*sys.path, str(ROOT)]),
        },
    )


@pytest.mark.parametrize("example", PROGRAMS, ids=lambda path: path.stem)
def test_example_is_short_and_says_how_it_is_run(example):
    text = example.read_text()
    assert len(text.splitlines()) <= 40
    how = re.search(r"(python|uvicorn|mlserver) .*", text)[0]
    assert f"examples.{example.stem}" in how or "examples/mlserver" in how


@pytest.mark.slow
@pytest.mark.parametrize(
    "example",
    [path for path in EXAMPLES if path.stem not in ELSEWHERE],
    ids=lambda path: path.stem,
)
def test_example_runs(example, tmp_path):
    if example.stem == "tune":
        pytest.importorskip(
            "keras_tuner", reason="pip install -r requirements-examples.txt"
        )
    arguments = ARGUMENTS.get(example.stem, ["sample", "3"])
    result = subprocess.run(
        **arguments_to_run(example, *arguments, folder=tmp_path),
        capture_output=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "sum" in result.stdout or "step 3" in result.stdout


@contextlib.contextmanager
def service(folder):
    """The address of `serve_fastapi`, on a free port."""
    command = ["-m", "uvicorn", "examples.serve_fastapi:app", "--port", "0"]
    with subprocess.Popen(
        **arguments_to_run(*command, folder=folder), stderr=subprocess.PIPE
    ) as server:
        said = ""
        for line in server.stderr:
            said += line
            if found := re.search(r"running on (http://[\w.:]+)", line):
                break
        else:
            pytest.fail(said)
        yield found[1]
        server.terminate()
        said += server.stderr.read()
    assert "Traceback" not in said, said


def post(address, picture, number):
    """The status and the JSON that a form is answered with."""
    mark = uuid.uuid4().hex
    part = f"--{mark}\r\nContent-Disposition: form-data; name="
    request = urllib.request.Request(
        f"{address}/answer",
        f'{part}"number"\r\n\r\n{number}\r\n'.encode()
        + f'{part}"picture"; filename="x.png"\r\n\r\n'.encode()
        + picture
        + f"\r\n--{mark}--\r\n".encode(),
        {"Content-Type": f"multipart/form-data; boundary={mark}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.slow
def test_service_answers_a_picture_and_says_what_is_wrong_with_one(tmp_path):
    for name in ("fastapi", "python_multipart"):
        pytest.importorskip(
            name, reason="pip install -r requirements-examples.txt"
        )
    seven = np.zeros((28, 28), "uint8")
    seven[6:9, 8:20] = seven[9:23, 16:19] = 255
    file = io.BytesIO()
    Image.fromarray(seven).save(file, "PNG")
    with service(tmp_path) as address:
        status, answer = post(address, file.getvalue(), 3)
        assert status == 200
        assert answer["values"] == {"digit": 7, "sum": 10, "difference": 4}
        assert answer["probabilities"]["sum"] > 0.9
        for picture, number in ((b"", 3), (b"none", 3), (file.getvalue(), 10)):
            status, answer = post(address, picture, number)
            assert status == 422
            assert "Received: " in answer["detail"]
