"""Figures in the pages are those of committed results, and their code runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from PIL import ImageDraw

from benchmarks import tables
from keras_mnist_sum import presets
from keras_mnist_sum.config import Config

RESULTS = {path.stem: path for path in tables.RESULTS.glob("*.json")}
ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "keras_mnist_sum").rglob("*.md")),
]
TESTS = "\n".join(
    path.read_text() for path in sorted((ROOT / "tests").rglob("*.py"))
)


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    ["README.md"]
    + [
        f"docs/{x}.md"
        for x in (
            "addition",
            "make_it_yours",
            "pictures",
            "training",
            "tutorial",
        )
    ],
)
def test_code_of_a_page_runs(page, tmp_path):
    """All its blocks, one after another, with nothing on standard error."""
    seven = Image.new("L", (200, 200), "white")
    draw = ImageDraw.Draw(seven)
    draw.line([(60, 50), (140, 50), (90, 150)], fill="black", width=14)
    for name in ("seven.png", "photo.jpg"):
        seven.save(tmp_path / name)
    text = (ROOT / page).read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    # What trains on MNIST does so on the sample here.
    code = code.replace('presets.get("fast").config,', "_config,")
    (tmp_path / "page.py").write_text(
        "import dataclasses\n"
        "from keras_mnist_sum import presets\n"
        "_config = dataclasses.replace(\n"
        '    presets.get("fast").config, data="sample", steps=60\n'
        ")\n" + code
    )
    result = subprocess.run(
        [sys.executable, "page.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stderr[-2000:]
