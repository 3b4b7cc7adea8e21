"""A report shows what was scored, whole or not at all, and nothing else's."""

import base64
import errno
import html
import json
import os
import re
import tempfile
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import evaluate
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.mistakes import find_mistakes
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.formats import open as opening
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.models.build import build_model
from keras_mnist_sum.reporting import page as report_page
from keras_mnist_sum.reporting import report
from keras_mnist_sum.reporting.page import Section
from keras_mnist_sum.task import Task
from keras_mnist_sum.utils import atomic_files
from tests.evaluation.known_model import known_outputs
from tests.evaluation.known_model import known_predictions
from tests.evaluation.known_model import right_tables

TASK = Task.named()

# The pictures of every report, besides a confusion for each output.
SHARED = (*("overview.png", "mistakes.png", "accuracy.png", "reliability.png"),)
FACTS = {"model": "a <b>model</b> & more", "data": "fifty images"}


def misread(outputs, labels):
    """Changes `outputs` so that five images have another digit."""
    digit = outputs["digit"]
    for image, share in zip((3, 9, 14, 22, 40), (0.5, 0.9, 0.7, 0.8, 0.6)):
        digit[image] = 0
        digit[image, :, (labels[image] + 1) % 10] = share


@pytest.fixture(scope="module")
def predictions(digits):
    """Seven images have a wrong prediction, which makes 52 pairs."""
    outputs = known_outputs(digits)
    misread(outputs, digits[1])
    for image, share in ((30, 0.95), (31, 0.55)):
        sums = outputs["sum"][image, 2]
        sums[:], sums[18] = 0, share
    return Predictions(*digits, TASK, outputs)


@pytest.fixture(scope="module")
def folder(predictions, tmp_path_factory):
    """A report with all its pictures."""
    folder = tmp_path_factory.mktemp("reports") / "new" / "report"
    tables = right_tables(TASK)
    report.save_report(folder, predictions, tables, FACTS, ["only <fifty>"])
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return (folder / report.PAGE).read_text()


@pytest.fixture
def one_picture(monkeypatch):
    """A report with little to draw."""
    section = Section("Heading", "Reading", {"examples.png": Figure((1, 1))})
    monkeypatch.setattr(report, "_sections", lambda *of: [section])


def text_of(markup):
    text = re.sub(r"<style>.*?</style>", "", markup, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_numbers_on_the_page_are_the_scores(page, predictions):
    scores = predictions.scores
    rows = re.findall(
        r"<tr><th>([^<]*)</th><td>([\d,]+)</td><td>([\d.]+) %</td>"
        r"<td>([^<]*)</td><td>([^<]*)</td></tr>",
        page,
    )
    assert {name: int(count) for name, count, *_ in rows} == {
        **scores.correct,
        "all": scores.all_correct,
        "contradictory": scores.contradictory,
    }
    for name, count, share, interval, error in rows:
        if name in scores.interval:
            low, high = scores.interval[name]
            assert interval == f"{100 * low:.2f} to {100 * high:.2f}"
        assert share == f"{100 * int(count) / 500:.2f}"
        if name in scores.calibration_error:
            percent = 100 * scores.calibration_error[name]
            assert error == f"calibration error {percent:.2f} %"
    text = text_of(page)
    assert scores.all_correct == 448 and "89.60 % of 500 test pairs" in text
    assert "50 images, each with every number 0-9: 500 pairs" in text


def test_page_says_what_was_scored_where_and_when(page):
    text = text_of(page)
    for words in (
        *("a <b>model</b> & more", "fifty images", "only <fifty>", "UTC"),
        *("tensorflow 2", "keras 3", "Python 3", "onnxruntime 1", "CPU"),
    ):
        assert words in text
    assert "<b>model" not in page and "<fifty>" not in page


def test_every_mistake_is_on_the_page_surest_first(page, predictions):
    items = re.findall(r"<li>(.*?)</li>", page, flags=re.S)
    indices = [int(re.search(r"test image (\d+)", x)[1]) for x in items]
    assert indices == [30, 9, 22, 14, 40, 31, 3]
    assert "0 + 2 = 2, said 18" in text_of(items[0])
    assert "95.0 % sure 1 of 10 pairs wrong" in text_of(items[0])
    assert text_of(items[1]).startswith("9 read as 0 90.0 % sure")
    for item, index in zip(items, indices):
        [uri] = re.findall(r'src="data:image/png;base64,([^"]*)"', item)
        pixels = np.array(Image.open(BytesIO(base64.b64decode(uri))))
        assert (255 - pixels == predictions.images[index]).all()
        assert f'alt="a {predictions.digits[index]}"' in item
    assert "52 pairs have a wrong prediction" in text_of(page)
    assert "They belong to 7 images" in text_of(page)
    assert "not shown" not in page


def test_page_shows_the_files_beside_it_and_loads_nothing(page, folder):
    names = {path.name for path in folder.iterdir()} - {report.PAGE}
    assert names == {*SHARED, *(f"confusion_{name}.png" for name in TASK)}
    uris = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
    shown = [base64.b64decode(uri) for uri in uris]
    for name in names - {"mistakes.png"}:  # the page has them one by one
        assert (folder / name).read_bytes() in shown
    # Links lead to places of the page, and images are in it.
    leading = r'(?:src|href|url)\b *[=(] *["\']?(?!"?(?:data:|#))'
    assert re.findall(leading, page) == []
    assert not re.search(r"https?:|//|<script|<link|@import", re.sub(
        r"base64,[^\"]*", "", page))  # fmt: skip
    assert "default-src 'none'; img-src data:" in page
    assert page.count("<img ") == page.count(" alt=") == len(uris)


def test_contents_lead_to_every_section_once(page):
    links = re.findall(r'<a href="#([^"]*)">', page)
    assert links == re.findall(r'<h2 id="([^"]*)">', page)
    assert len(set(links)) == len(links) > 4
    uris = re.findall(r'src="(data:[^"]*)"', page)
    assert len(set(uris)) == len(uris)


def test_learning_curves_of_a_run_are_on_the_page(
    predictions, tmp_path, one_picture
):
    curves, folder = tmp_path / "of the run.png", tmp_path / "report"
    Figure((1, 1)).savefig(curves)
    for written in (True, False):
        if not written:  # By whatever happened to the run.
            curves.write_bytes(b"no picture")
        report.save_report(folder, predictions, {}, FACTS, curves=curves)
        page = (folder / report.PAGE).read_text()
        assert ("Learning curves" in page) == written
        assert (folder / "curves.png").exists() == written


def test_page_is_readable_in_the_dark_too(page):
    assert "color-scheme: light dark" in page
    assert "prefers-color-scheme: dark" in page


def test_more_mistakes_than_fit_are_counted_not_hidden(
    predictions, monkeypatch
):
    monkeypatch.setattr(report_page, "MOST_MISTAKES", 5)
    markup = report_page._mistakes(predictions, find_mistakes(predictions))
    assert markup.count("<li>") == 5
    assert "Here are the surest 5; 2 more images are not shown." in markup
    assert "52 pairs have a wrong prediction" in markup


def test_flawless_model_has_no_picture_of_mistakes(digits):
    predictions = known_predictions(digits)
    sections = {s.heading: s for s in report._sections(predictions, {})}
    assert sections["Mistakes"].pictures == {}
    assert "every prediction" in report_page._mistakes(predictions, [])
    assert "Values" not in sections


def test_values_have_a_section_and_come_last_among_mistakes(digits):
    outputs = known_outputs(digits)
    for name in ("sum", "difference"):
        values = TASK[name].pair_values[digits[1]] + 0.25
        outputs[name] = values[..., np.newaxis]
    outputs["sum"][4, 4] += 1
    predictions = Predictions(*digits, TASK, outputs)
    sections = {s.heading: s for s in report._sections(predictions, {})}
    assert list(sections["Values"].pictures) == ["values.png"]
    markup = report_page._mistakes(predictions, sections["Mistakes"].mistakes)
    assert "sorted by their error" in markup and "sure<" not in markup


def test_earlier_report_is_replaced_whole(predictions, tmp_path, one_picture):
    folder = tmp_path / "report"
    report.save_report(folder, predictions, {}, FACTS)
    (folder / "values.png").write_bytes(b"of another model")
    report.save_report(folder, predictions, {}, {"model": "the second"})
    assert "the second" in (folder / report.PAGE).read_text()
    names = {path.name for path in folder.iterdir()}
    assert names == {report.PAGE, "examples.png"}
    assert list(tmp_path.iterdir()) == [folder]


def test_report_that_fails_leaves_what_was_there(
    predictions, tmp_path, one_picture, monkeypatch
):
    folder = tmp_path / "report"
    report.save_report(folder, predictions, {}, FACTS)
    before = (folder / report.PAGE).read_bytes()

    def full_disk(*of):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report_page, "render", full_disk)
    with pytest.raises(InputError, match="Cannot write.*No space left"):
        report.save_report(folder, predictions, {}, FACTS)
    with pytest.raises(InputError, match="Cannot write"):
        report.save_report(tmp_path / "other", predictions, {}, FACTS)
    assert (folder / report.PAGE).read_bytes() == before
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    "files, held",
    [
        (["notes.txt"], "notes.txt"),
        (["index.html"], "index.html"),
        (["index.html", "report", "notes.txt"], "notes.txt"),
        (["accuracy.png"], "accuracy.png"),
    ],
)
def test_rejects_folder_with_other_files_before_the_work(
    tmp_path, capsys, monkeypatch, files, held
):
    monkeypatch.setattr(opening, "open_model", pytest.fail)
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("precious")
    if "report" in files:
        (folder / "index.html").write_text(report_page.MARK)
        (folder / "report").unlink()
    assert evaluate.main(["--report", str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: A report needs a new or empty folder")
    assert error.endswith(f"which holds {held}\n") and error.count("\n") == 1
    assert (folder / held).read_text() == "precious"


def test_rejects_file_within_the_report_before_the_work(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(opening, "open_model", pytest.fail)
    monkeypatch.chdir(tmp_path)
    files = [("new", "./new/x/y.json"), ("new", "new"), ("a/b", "a")]
    for folder, file in files:
        assert evaluate.main(["--report", folder, "--json", file]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: A report has its folder to itself")
        assert error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_rejects_folder_that_leads_to_itself_before_the_work(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(opening, "open_model", pytest.fail)
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    assert evaluate.main(["--report", str(loop), "--json", "x.json"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: A report needs a folder, not a link")
    assert error.count("\n") == 1 and str(loop) in error


def test_rejects_folder_that_cannot_be_replaced_before_the_work(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(opening, "open_model", pytest.fail)
    folder = tmp_path.resolve() / "report"
    folder.mkdir()
    make = tempfile.mkdtemp

    def refuse(prefix, dir):
        if dir == folder.parent:
            raise PermissionError(errno.EACCES, "Permission denied")
        return make(prefix=prefix, dir=dir)

    for where, name, answer in (
        (os.path, "ismount", lambda path: Path(path) == folder),
        (tempfile, "mkdtemp", refuse),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, answer)
            assert evaluate.main(["--report", str(folder)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: A report replaces its folder")
        assert error.count("\n") == 1 and str(folder) in error


def test_name_that_is_not_utf8_is_on_the_page(
    predictions, tmp_path, one_picture
):
    name = b"mod\xe8le.keras".decode(errors="surrogateescape")
    report.save_report(tmp_path / "report", predictions, {}, {"model": name})
    page = (tmp_path / "report" / report.PAGE).read_text()
    assert "mod\\udce8le.keras" in page


def test_report_without_a_run_needs_a_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(opening, "open_model", pytest.fail)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for arguments, message in (
        (["--report"], "Received: 'the model that comes with the package'"),
        (["some.onnx", "--report"], "Received: 'some.onnx'"),
        (["--report", "file"], "Received: 'file"),
    ):
        assert evaluate.main(arguments) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_report_of_a_run_goes_into_it_and_agrees_with_the_json(
    npz, tmp_path, capsys, monkeypatch
):
    """One evaluation for the table, the file and the page."""
    config = Config(width=4, data=str(npz), difference="signed")
    run = Run(tmp_path / "runs" / "mine")
    atomic_files.write_text(run.config, config.to_json())
    build_model(config).save(run.model)
    drawn = []

    def sections(predictions, tables):
        drawn.append((predictions, tables))
        return [Section("Heading", "", {"examples.png": Figure((1, 1))})]

    monkeypatch.setattr(report, "_sections", sections)
    monkeypatch.chdir(tmp_path)
    assert evaluate.main(["--report", "--json", "results.json"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("\nreport runs/mine/report/index.html\n")
    page = (run.path / "report" / "index.html").read_text()
    results = json.loads((tmp_path / "results.json").read_text())
    [(predictions, tables)] = drawn
    assert predictions.scores.correct == results["correct"]
    for name, count in results["correct"].items():
        assert f"<tr><th>{name}</th><td>{count:,}</td>" in page
    assert tables["difference"].shape == (10, 10, 19)
    assert "runs/mine: preset residual, head table" in text_of(page)
    assert evaluate.main(["--report"]) == 0  # again, over the first


@pytest.mark.slow
def test_report_of_another_task_replaces_the_one_before(digits, tmp_path):
    folder = tmp_path / "report"
    for names in (
        ("digit", "sum", "product"),
        ("sum", "digit"),
        ("digit", "greater"),
    ):
        task = Task.named(names)
        outputs = known_outputs(digits, task=task)
        misread(outputs, digits[1])
        predictions = Predictions(*digits, task, outputs)
        report.save_report(folder, predictions, right_tables(task), FACTS)
        expected = {*SHARED, *(f"confusion_{name}.png" for name in names)}
        found = {path.name for path in folder.iterdir()}
        assert found == expected | {report.PAGE}
        for picture in expected:
            with Image.open(folder / picture) as image:
                image.verify()
        text = text_of((folder / report.PAGE).read_text())
        assert "9 read as 0 90.0 % sure" in text
        for name, count in predictions.scores.correct.items():
            assert f"{name} {count} {count / 5:.2f} %" in text


def test_report_of_values_of_another_task(digits, tmp_path):
    task = Task.named(("product", "digit", "greater"))
    outputs = known_outputs(digits, task=task)
    for name in ("product", "greater"):
        values = task[name].pair_values[digits[1]] + 0.25
        outputs[name] = values[..., np.newaxis]
    outputs["product"][4, 4] += 1
    predictions = Predictions(*digits, task, outputs)
    report.save_report(tmp_path / "report", predictions, {}, FACTS)
    names = {path.name for path in (tmp_path / "report").iterdir()}
    confusions = {f"confusion_{name}.png" for name in task}
    assert names == {*SHARED, "values.png", report.PAGE} | confusions
    page = (tmp_path / "report" / report.PAGE).read_text()
    assert "4 × 4 = 16, said 17" in text_of(page)


@pytest.mark.parametrize("channels", [1, 3])
def test_page_shows_mistakes_of_images_with_channels(digits, channels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 28, 28, channels), "uint8")
    outputs = known_outputs(digits)
    misread(outputs, digits[1])
    predictions = Predictions(images, digits[1], TASK, outputs)
    markup = report_page._mistakes(predictions, find_mistakes(predictions))
    uris = re.findall(r'src="data:image/png;base64,([^"]*)"', markup)
    assert len(uris) == 5
    first = np.array(Image.open(BytesIO(base64.b64decode(uris[0]))))
    # Gray is inverted, colours are not.
    expected = 255 - images[9, ..., 0] if channels == 1 else images[9]
    np.testing.assert_array_equal(first, expected)


def test_drawing_leaves_the_settings_of_matplotlib_alone(
    digits, tmp_path, monkeypatch
):
    """Also those that a user has made."""
    task = Task.named(("digit", "greater"))
    predictions = known_predictions(digits, task=task)
    matplotlib.get_backend()  # A first call chooses one.
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 7.0)
    before = dict(matplotlib.rcParams)
    backend = matplotlib.get_backend()
    report.save_report(tmp_path / "report", predictions, {}, FACTS)
    assert dict(matplotlib.rcParams) == before
    assert matplotlib.get_backend() == backend
