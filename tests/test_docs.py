"""The figures in the pages are those of the committed results."""

import dataclasses
import json

import pytest

from benchmarks import tables
from keras_mnist_sum import presets
from keras_mnist_sum.config import Config

RESULTS = {path.stem: path for path in tables.RESULTS.glob("*.json")}


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda path: path.name)
def test_tables_show_the_committed_results(page):
    text = page.read_text()
    assert "<!-- end -->" in text
    assert tables.fill(text) == text


def test_preset_says_what_its_results_say():
    for name, preset in presets.PRESETS.items():
        if preset.expected is None:
            assert name not in RESULTS
            continue
        report = json.loads(RESULTS[name].read_text())
        mean, std = report["mean_std"]["all"]
        n = report["n"]
        score = f"{mean:.2f} ± {std:.2f}" if n > 1 else f"{mean:.2f}"
        assert f"{score} % all three right (n = {n})" in preset.expected
        config = dataclasses.asdict(preset.config)
        for field in ("seed", "data", "data_dir"):
            del config[field]
        if config["precision"] == "auto":  # A result has what that stood for.
            del config["precision"]
        # A field that came later had its default then.
        then = dataclasses.asdict(Config(**report["config"]))
        assert {name: then[name] for name in config} == config
