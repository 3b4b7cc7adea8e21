"""What the example for MLflow leaves there, read by SQLite."""

import contextlib
import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("mlflow", "sqlalchemy", "alembic"))),
    reason="pip install -r requirements-examples.txt",
)
def test_mlflow_has_the_config_each_epoch_and_the_final_scores(tmp_path):
    """With no network: a proxy that is none is in the way of any call."""
    result = subprocess.run(
        [sys.executable, "-m", "examples.mlflow_callback", "sample", "20"],
        cwd=tmp_path,
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
            "PYTHONPATH": os.pathsep.join([*sys.path, str(ROOT)]),
            "https_proxy": "http://127.0.0.1:9",
            "no_proxy": "",
        },
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    results = json.loads((tmp_path / "runs/mlflow/results.json").read_text())
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as stored:
        [run] = stored.execute("select status, name from runs")
        params = dict(stored.execute("select key, value from params"))
        metrics = {
            (key, step): value
            for key, step, value in stored.execute(
                "select key, step, value from metrics"
            )
        }
    assert run == ("FINISHED", "fast") and params["steps"] == "20"
    for epoch in (1, 2):
        assert 0 <= metrics["sum_accuracy", epoch] <= 1
    for name, share in results["accuracy"].items():
        assert metrics[f"test_{name}", 0] == pytest.approx(share)
