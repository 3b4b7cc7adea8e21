"""The tour: what it shows is stored with it, and it runs from top to bottom."""

import base64
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbmake.nb_run import NotebookRun

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "notebooks" / "tour.ipynb"


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [out for cell in code_cells(notebook) for out in cell.outputs]


def printed(notebook):
    return "".join(out.get("text", "") for out in outputs(notebook))


def test_stored_outputs_are_those_of_one_run_and_nothing_else():
    notebook = nbformat.read(TOUR, 4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    counts = [cell.execution_count for cell in cells]
    assert counts == list(range(1, len(cells) + 1))
    pictures = [
        base64.b64decode(out.data["image/png"])
        for out in outputs(notebook)
        if "image/png" in out.get("data", {})
    ]
    assert len(pictures) >= 6
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    kinds = {(out.output_type, out.get("name")) for out in outputs(notebook)}
    assert not kinds & {("stream", "stderr"), ("error", None)}
    assert not re.search("WARNING|INFO|Error", printed(notebook))
    text = TOUR.read_text()
    assert len(text) < 1_000_000
    assert not re.search(r"/(home|root|tmp|opt|usr|work|Users|content)/", text)
    assert not re.search(r"0x[0-9a-f]{8}", text)


def test_stored_tables_are_right_and_concat_falls_behind():
    """What the text says of the numbers is true of those that are stored."""
    said = printed(nbformat.read(TOUR, 4))
    _, _, compared = said.partition("right, %")
    for name in ("digit", "sum", "difference"):
        found = re.search(rf"\n{name} +([0-9.]+) +([0-9.]+)\n", compared)
        table, concat = map(float, found.groups())
        assert table > 98.5
        assert concat > 98.5 if name == "digit" else concat < 50
    assert "7 + 5 = 12\n|7 − 5| = 2\n" in said


def test_plain_keras_is_shown_and_the_first_answer_is_to_a_real_digit():
    notebook = nbformat.read(TOUR, 4)
    code = "\n".join(cell.source for cell in code_cells(notebook))
    assert re.search(r"\.compile\([^)]*keras\.optimizers.*\.fit\(", code, re.S)
    assert code.index("mnist.test_images[0]") < code.index("Predictor.load(r")
    assert re.search(r"^digit \d \(\d+\.\d %\)$", printed(notebook), re.M)


@pytest.mark.slow
# Of the kernel's connection, which nothing here can choose.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tour_runs_from_top_to_bottom(tmp_path, monkeypatch):
    """On the sample: without a network, and from another folder."""
    shutil.copy(TOUR, tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    result = NotebookRun(tmp_path / TOUR.name, 300).execute()
    assert result.error is None, result.error.trace
    said = printed(result.nb)
    assert "5,000-image MNIST sample" in said
    assert "7 + 5 = 12\n|7 − 5| = 2\n" in said
    kinds = {(out.output_type, out.get("name")) for out in outputs(result.nb)}
    pictures = {("display_data", None), ("execute_result", None)}
    assert kinds == {("stream", "stdout"), *pictures}
