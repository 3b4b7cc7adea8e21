"""Pictures of the pages are drawn of results, and wrong ones are refused."""

import pytest

from benchmarks import __main__


def test_stored_results_are_drawn(tmp_path):
    out = tmp_path / "drawn.png"
    assert __main__.main(["figures", "peers", "--out", str(out)]) == 0
    assert out.stat().st_size > 10_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["peers", "runs/one"],
        ["heads"],
        ["heads", "no_title"],
        ["heads", "title=/no/such/run"],
        ["tables", "/no/such/run"],
        ["peers", "--results", "README.md"],
        ["peers", "--results", "/no/such/file"],
    ],
)
def test_wrong_input_gets_one_line(arguments, tmp_path, capsys):
    out = tmp_path / "drawn.png"
    assert __main__.main(["figures", *arguments, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "Received: " in error and not out.exists()
