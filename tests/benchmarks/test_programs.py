"""Every program that measures runs to its end, with the least of all."""

import json
import os
import shutil

import pytest

from benchmarks import __main__
from benchmarks import harness

FAST = ["--preset", "fast", "--data", "sample"]
# What each must be told, beside --smoke.
PROGRAMS = {
    "addition": [],
    "additive": [],
    "demo": [],
    "growth": [],
    "overheads": [],
    "peers": [],
    "pictures": [],
    "pipeline": [],
    "results": ["row", *FAST, "--steps", "4"],
    "scaling": [],
    "serving": [],
    "starts": ["row", *FAST],
    "startup": [],
    "throughput": [],
    "wrong_sums": ["one=RUN"],
}


def test_every_program_that_measures_is_tried():
    measure = {
        name
        for name in __main__.programs()
        if hasattr(__main__.load(name), "SMOKE")
    }
    assert measure == PROGRAMS.keys()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    harness.python("train.py", *FAST, "--steps", "4", "--run-dir", folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_program_runs_and_writes_what_it_found(name, run, tmp_path):
    if name == "peers":
        pytest.importorskip("torch", reason="requirements-peers.txt")
    if name == "demo" and not shutil.which("chromium"):
        pytest.skip("no browser")
    if name == "serving" and "CLIENTS" not in os.environ:
        pytest.skip("no runtimes of others: see .ci/run")
    if name == "startup" and "TFDS_DATA_DIR" not in os.environ:
        pytest.skip("no full MNIST")
    out = tmp_path / "found.json"
    others = [x.replace("RUN", str(run)) for x in PROGRAMS[name]]
    command = ["-m", "benchmarks", name, "--smoke", "--out", out, *others]
    print(harness.python(*command))
    report = json.loads(out.read_text())
    assert report["command"].startswith(f"python -m benchmarks {name}")
    assert report["environment"]["cores"] >= 1
