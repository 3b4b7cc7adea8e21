"""What every program in benchmarks/ shares."""

import json
import types

import pytest

from benchmarks import __main__
from benchmarks import harness
from benchmarks.turns import Turn
from benchmarks.turns import Turns
from benchmarks.turns import interleave
from keras_mnist_sum.errors import InputError


def code_of(*arguments):
    try:
        return __main__.main(list(arguments))
    except SystemExit as stop:
        return stop.code


def files():
    """When the results, the pages and the pictures were written."""
    folders = harness.RESULTS, harness.ROOT / "docs"
    paths = [x for folder in folders for x in folder.rglob("*")]
    paths.append(harness.ROOT / "README.md")
    return {path: path.stat().st_mtime_ns for path in paths}


@pytest.mark.parametrize("name", __main__.programs())
def test_help_answers_and_does_no_work(name, capsys):
    """Nor does a word that is no flag, nor a number that is none."""
    before = files()
    assert code_of(name, "--help") == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"usage: python -m benchmarks {name} ")
    module = __main__.load(name)
    if not hasattr(module, "REST"):
        assert code_of(name, "--no-such-flag") == 2
        assert capsys.readouterr().err.count("\n") == 1
    for option, (value, _) in getattr(module, "OPTIONS", {}).items():
        if isinstance(value, int | float) and value:
            flag = f"--{option.replace('_', '-')}"
            for wrong in ("0", "-1", "nan", "many"):
                assert code_of(name, flag, wrong) == 2
                error = capsys.readouterr().err
                assert flag in error and error.count("\n") == 1
    assert files() == before


def test_overview_names_every_program_with_a_line(capsys):
    assert code_of("--help") == 0
    text = capsys.readouterr().out
    for name, path in __main__.programs().items():
        [line] = [x for x in text.splitlines() if x.startswith(f"  {name} ")]
        first = path.read_text().splitlines()[0].strip('"')
        assert line.endswith(first) and first.endswith(".")
    for wrong in ([], ["no-such-program"], ["../harness"]):
        assert code_of(*wrong) == 2
        assert "NAME must be one of " in capsys.readouterr().err


def test_no_file_is_long():
    for path in (harness.ROOT / "benchmarks").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path


def test_everything_takes_its_turn_and_the_first_round_is_not_counted():
    calls = []
    work = {name: lambda name=name: calls.append(name) for name in "ab"}
    turns = interleave(work, rounds=2)
    assert calls == ["a", "b"] * 3
    assert [len(turns[name]) for name in "ab"] == [2, 2]
    own = interleave({"own clock": lambda: 7.0}, rounds=1, warm=0)
    assert own.median("own clock") == 7.0 and own["own clock"][0].wall < 1


def test_ratios_are_within_a_round():
    turns = Turns(
        a=[Turn(1.0, 1.0, 1.0), Turn(8.0, 8.0, 8.0), Turn(3.0, 3.0, 3.0)],
        b=[Turn(2.0, 2.0, 2.0), Turn(16.0, 16.0, 16.0), Turn(3.0, 3.0, 3.0)],
    )
    assert turns.ratios("b", "a") == [2.0, 2.0, 1.0]
    assert turns.ratio("b", "a") == 2.0
    assert turns.milliseconds("a") == 3000.0


def test_disturbed_turn_shows():
    fine, disturbed = Turn(1.0, 1.0, 1.9), Turn(1.6, 1.6, 1.9)
    turns = Turns(a=[fine, fine, disturbed], b=[fine, fine, fine])
    [line] = turns.disturbed()
    assert line == "a, round 3: 1.19 cores, usually 1.90"
    assert turns.to_json()["a"][2] == {
        "seconds": 1.6,
        "wall": 1.6,
        "processor": 1.9,
    }


def program(**names):
    module = types.ModuleType("benchmarks.some.program", "Measures.")
    module.OPTIONS = {"rounds": (3, "turns"), "size": (5, "of it")}
    vars(module).update(SMOKE={"rounds": 1, "size": 2}, **names)
    return module


def measure(*arguments, value=1.5):
    values = harness.parse(program(), list(arguments))
    harness.save(values, {"found": {"x": value}, "environment": {"cores": 2}})
    return values


def test_results_are_stored_with_command_and_count(tmp_path, capsys):
    out = tmp_path / "found.json"
    measure("--out", str(out), "--size", "7", "--rounds", "4")
    report = json.loads(out.read_text())
    command = "python -m benchmarks program --size 7 --rounds 4"
    assert report["command"] == command
    assert report["n"] == 4 and report["environment"]["cores"] == 2
    assert list(tmp_path.iterdir()) == [out]
    capsys.readouterr()
    measure("--out", str(out), "--size", "7", "--rounds", "4", value=3.0)
    assert capsys.readouterr().out.split() == [
        *("found", "/", "x", "3", "stored", "1.5", "+100.0", "%")
    ]


def test_results_of_fewer_runs_do_not_replace_more(tmp_path):
    out = tmp_path / "found.json"
    measure("--out", str(out))
    before = out.read_bytes()
    with pytest.raises(InputError, match="Received: n = 2, .* has 3"):
        measure("--out", str(out), "--rounds", "2")
    assert out.read_bytes() == before
    measure("--out", str(out), "--rounds", "9")
    assert json.loads(out.read_text())["n"] == 9


def test_runs_are_added_to_those_of_their_recipe_alone(tmp_path):
    out = tmp_path / "found.json"
    values = harness.parse(program(), ["--out", str(out)])
    assert harness.runs_before(values, size=5) == []
    out.write_text('{"size": 5, "runs": [{"seed": 0}]}')
    values = harness.parse(program(), ["--out", str(out)])
    assert harness.runs_before(values, size=5) == [{"seed": 0}]
    with pytest.raises(InputError, match="Received: size=6, .* has 5"):
        harness.runs_before(values, size=6)


def test_smoke_run_writes_nothing_that_is_not_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    values = measure("--smoke")
    assert (values.rounds, values.size) == (1, 2)
    assert measure("--smoke", "--size", "9").size == 9
    assert not list(tmp_path.iterdir())
    measure()
    assert [path.name for path in tmp_path.iterdir()] == ["program.json"]


def test_stored_results_are_shown_beside(tmp_path, capsys):
    other = tmp_path / "other.json"
    other.write_text('{"found": {"x": 2.0}}')
    measure("--smoke", "--compare", str(other), value=3.0)
    assert "3   stored            2  +50.0 %" in capsys.readouterr().out
    for text in ("[]", "{", "[" * 100_000):
        other.write_text(text)
        with pytest.raises(InputError, match="a JSON file that a benchmark"):
            measure("--smoke", "--compare", str(other))


@pytest.mark.parametrize(
    "path", sorted(harness.RESULTS.glob("*.json")), ids=lambda path: path.stem
)
def test_stored_results_are_of_a_command_of_today(path):
    report = json.loads(path.read_text())
    entries = report.get("competitors", {"": report}).values()
    for command in [
        entry["command"] for entry in entries if "command" in entry
    ]:
        words = command.split()
        assert words[:3] == ["python", "-m", "benchmarks"]
        assert words[3] in __main__.programs()
