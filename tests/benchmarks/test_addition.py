"""How the figures of `docs/addition.md` are measured."""

import json

import numpy as np
import pytest

from benchmarks import __main__
from benchmarks.accuracy.addition_training import make_examples
from benchmarks.accuracy.addition_training import recipe
from benchmarks.report import addition as addition_report


def test_each_image_is_in_one_sum_at_most():
    labels = np.random.default_rng(0).integers(0, 10, 100).astype("uint8")
    order = np.random.default_rng(1).permutation(100)
    for digits, count in ((1, 50), (15, 3), (50, 1)):
        index, sums = make_examples(labels, digits, order)
        assert index.shape == (count, 2, digits)
        assert len(np.unique(index)) == index.size
        for (first, second), total in zip(labels[index], sums):
            values = ["".join(map(str, x)) for x in (first, second, total)]
            assert int(values[0]) + int(values[1]) == int(values[2])


def test_networks_see_as_many_images_whatever_the_digits():
    for network, epochs in (("lenet", 20), ("residual", 4)):
        for digits in (1, 2, 4, 15, 100):
            sums = 60_000 // (2 * digits)
            config = recipe(network, digits, sums)
            seen = config.steps * config.batch_size / sums
            assert seen == pytest.approx(epochs, rel=0.01)


def report(network, digits, sums, failed=0):
    return {
        "network": network,
        "digits": digits,
        "start": "all",
        "sums": [60_000 // (2 * digits), 10_000 // (2 * digits)],
        "config": {"steps": 2500, "batch_size": 16},
        "summary": {
            "n": 10,
            "failed_starts": failed,
            "sum": sums,
            "digit": [99.0, 0.1],
            "surely_most_probable": [95.0, 1.0],
            "core_seconds": [80.0, 2.0],
        },
    }


def test_tables_put_ours_beside_the_published():
    published = {"Other": {"4": "94.0 ± 0.3", "100": "37.8"}}
    reports = {
        "one": report("lenet", 15, [74.56, 1.2]),
        "other": report("residual", 4, [96.1, 0.3], failed=2),
    }
    table = addition_report.sums(published, reports)
    assert "| Other | – | – | 94.0 ± 0.3 | – | 37.8 |" in table
    assert "| ours, `lenet` | – | – | – | 74.6 ± 1.2 (10) | – |" in table
    assert "96.1 ± 0.3 (10) (2 of 10 failed)" in table
    rows = addition_report.runs(reports).splitlines()
    assert "| `lenet` | 15 | all columns | 20 | 74.6 ± 1.2 (10) |" in rows[2]
    assert "| 2 of 10 | 80 s |" in rows[3]


@pytest.mark.parametrize(
    "flags", [["--digits", "2000"], ["--network", "other"], ["--start", "last"]]
)
def test_wrong_flag_gets_one_line(flags, tmp_path, capsys):
    out = tmp_path / "found.json"
    command = ["addition", "--data", "sample", "--out", str(out), *flags]
    try:
        code = __main__.main(command)
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and error.count("\n") == 1 and flags[0] in error
    assert not out.exists()


@pytest.mark.slow
def test_measuring_goes_on_with_the_next_seed_and_replaces_nothing(
    tmp_path, capsys
):
    out = tmp_path / "found.json"
    flags = ["addition", "--data", "sample", "--digits", "15", "--epochs", "1"]
    flags += ["--start", "first", "--out", str(out)]
    assert __main__.main([*flags, "--seeds", "1"]) == 0
    first = json.loads(out.read_text())
    assert first["sums"] == [133, 33]
    assert __main__.main([*flags, "--seeds", "2"]) == 0
    both = json.loads(out.read_text())
    assert [run["seed"] for run in both["runs"]] == [0, 1]
    assert both["runs"][0] == first["runs"][0]
    assert both["summary"]["n"] == 2
    assert both["environment"]["cores"] >= 1
    written = out.read_text()
    capsys.readouterr()
    assert __main__.main([*flags, "--digits", "4"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert out.read_text() == written
