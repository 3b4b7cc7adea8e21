"""Figures in the pages are those of committed results; links lead somewhere."""

import json
import re

import pytest

from benchmarks import harness
from benchmarks.report import pages
from keras_mnist_sum import presets
from keras_mnist_sum.config import Config
from tests.code_blocks import PAGES
from tests.code_blocks import ROOT

RESULTS = {path.stem: path for path in harness.RESULTS.glob("*.json")}
TESTS = "\n".join(
    path.read_text() for path in sorted((ROOT / "tests").rglob("*.py"))
)


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda path: path.name)
def test_tables_show_the_committed_results(page):
    text = page.read_text()
    assert "<!-- end -->" in text
    assert pages.fill(text) == text


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
        config = preset.config.to_dict()
        for field in ("seed", "data", "data_dir"):
            del config[field]
        if config["precision"] == "auto":  # A result has what that stood for.
            del config["precision"]
        # A field that came later had its default then.
        then = Config.from_json(json.dumps(report["config"])).to_dict()
        assert {name: then[name] for name in config} == config


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_exist(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        target, _, anchor = link.partition("#")
        if target.startswith("http"):
            continue
        path = page.parent / target if target else page
        assert path.exists(), link
        if anchor:
            titles = re.findall("^#+ (.*)", path.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", x.lower()) for x in titles]
            assert anchor in [x.replace(" ", "-") for x in slugs], link


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_tests_that_a_page_names_exist(page):
    for name in re.findall(r"`([a-z0-9_.]+)`", page.read_text()):
        if name.endswith(".py"):
            found = not name.startswith("test_") or any(
                ROOT.glob(f"tests/**/{name}")
            )
        elif name.strip("_").count("_") + ("..." in name) >= 3:  # A sentence.
            pattern = re.escape(name).replace(r"\.\.\.", r"\w+")
            found = re.search(rf"def test_{pattern}\(", TESTS)
        else:
            found = True
        assert found, name


def test_each_promise_of_reliability_has_a_test():
    text = (ROOT / "docs" / "reliability.md").read_text()
    promised, _, _ = text.partition("\n## How")
    rows = re.findall(r"^\| (.+) \| (.+) \|$", promised, re.MULTILINE)
    promises = {promise: x for promise, x in rows if promise != "promise"}
    assert len(promises) > 25
    for promise, tests in promises.items():
        assert re.search("`[a-z0-9_.]{12,}`", tests), promise
