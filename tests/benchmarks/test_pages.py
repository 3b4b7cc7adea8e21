"""Pages are filled on purpose alone, and say when they are not up to date."""

import json
import shutil

from benchmarks import __main__
from benchmarks import harness
from benchmarks.report import pages


def test_pages_that_would_change_are_named_and_left(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    page, other = tmp_path / "heads.md", tmp_path / "cost.md"
    for path in (page, other):
        shutil.copy(pages.PAGES[0].parent / "docs" / path.name, path)
    monkeypatch.setattr(pages, "PAGES", (page, other))
    whole = page.read_text()
    assert __main__.main(["pages", "--check"]) == 0
    assert capsys.readouterr().out == "0 of 2 pages would change\n"
    stale = whole.replace("| optimum |", "| summit |")
    page.write_text(stale)
    assert __main__.main(["pages", "--check"]) == 1
    said = capsys.readouterr().out
    assert said == "heads.md\n1 of 2 pages would change\n"
    assert page.read_text() == stale
    assert __main__.main(["pages"]) == 0
    assert page.read_text() == whole


def test_time_of_a_run_has_its_teachers_in(monkeypatch, tmp_path):
    stored = json.loads((harness.RESULTS / "residual.json").read_text())
    stored["mean_std"]["training_seconds"] = [700.0, 1.0]
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    filled = []
    for others in ({}, {"training_seconds_with_teachers": [2600.0, 1.0]}):
        stored["mean_std"] |= others
        (tmp_path / "some.json").write_text(json.dumps(stored))
        filled.append(pages.fill("<!-- summary: some -->\n<!-- end -->"))
    assert "12 min" in filled[0] and "43 min" in filled[1]
