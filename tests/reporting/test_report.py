import base64
import html
import json
import os
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import evaluate
from keras_mnist_sum import task
from keras_mnist_sum.config import Config
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.mistakes import find_mistakes
from keras_mnist_sum.formats import open
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.models import build
from keras_mnist_sum.reporting import page as reportpage
from keras_mnist_sum.reporting import report
from keras_mnist_sum.reporting.page import Section
from keras_mnist_sum.utils import atomic_files
from tests.evaluation.test_scores import ask

FACTS = {"model": "a <b>model</b> & more", "data": "fifty images"}


def erring(digits):
    """Answers of which seven images have a wrong one, and 52 pairs."""
    answers = ask(digits)
    digit = answers.predictions["digit"]
    for image, share in zip((3, 9, 14, 22, 40), (0.5, 0.9, 0.7, 0.8, 0.6)):
        digit[image] = 0
        digit[image, :, (answers.labels[image] + 1) % 10] = share
    for image, share in ((30, 0.95), (31, 0.55)):
        sums = answers.predictions["sum"][image, 2]
        sums[:], sums[18] = 0, share
    return answers


@pytest.fixture(scope="module")
def answers(digits):
    return erring(digits)


@pytest.fixture(scope="module")
def folder(answers, tmp_path_factory):
    """A report with all its pictures."""
    folder = tmp_path_factory.mktemp("reports") / "new" / "report"
    outputs = task.outputs()
    tables = {
        name: np.eye(outputs[name].num_classes)[outputs[name].table]
        for name in ("sum", "difference")
    }
    report.save_report(folder, answers, tables, FACTS, ["only <fifty>"])
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


def test_numbers_on_the_page_are_those_of_the_evaluation(page, answers):
    scored = answers.evaluation
    rows = re.findall(
        r"<tr><th>([^<]*)</th><td>([\d,]+)</td><td>([\d.]+) %</td>"
        r"<td>([^<]*)</td></tr>",
        page,
    )
    assert {name: int(count) for name, count, _, _ in rows} == {
        **scored.correct,
        "all three": scored.all_correct,
        "contradictory": scored.contradictory,
    }
    for name, count, share, error in rows:
        assert share == f"{100 * int(count) / 500:.2f}"
        if name in scored.calibration_error:
            percent = 100 * scored.calibration_error[name]
            assert error == f"calibration error {percent:.2f} %"
    text = text_of(page)
    assert scored.all_correct == 448 and "89.60 % of 500 test pairs" in text
    assert "50 images, each with every number 0-9: 500 pairs" in text


def test_page_says_what_was_scored_where_and_when(page):
    text = text_of(page)
    for words in (
        *("a <b>model</b> & more", "fifty images", "only <fifty>", "UTC"),
        *("tensorflow 2", "keras 3", "Python 3", "onnxruntime 1", "CPU"),
    ):
        assert words in text
    assert "<b>model" not in page and "<fifty>" not in page


def test_every_mistake_is_on_the_page_surest_first(page, answers):
    items = re.findall(r"<li>(.*?)</li>", page, flags=re.S)
    indices = [int(re.search(r"test image (\d+)", x)[1]) for x in items]
    assert indices == [30, 9, 22, 14, 40, 31, 3]
    assert "0 + 2 = 2, said 18" in text_of(items[0])
    assert "95.0 % sure 1 of 10 pairs wrong" in text_of(items[0])
    assert text_of(items[1]).startswith("9 read as 0 90.0 % sure")
    for item, index in zip(items, indices):
        [uri] = re.findall(r'src="data:image/png;base64,([^"]*)"', item)
        pixels = np.array(Image.open(BytesIO(base64.b64decode(uri))))
        assert (255 - pixels == answers.images[index]).all()
        assert f'alt="a {answers.labels[index]}"' in item
    assert "52 pairs have a wrong answer" in text_of(page)
    assert "They belong to 7 images" in text_of(page)
    assert "not shown" not in page


def test_page_shows_the_files_beside_it_and_loads_nothing(page, folder):
    names = {path.name for path in folder.iterdir()} - {report.PAGE}
    assert names == set(report.PICTURES) - {"values.png"}
    uris = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
    shown = [base64.b64decode(uri) for uri in uris]
    for name in names - {"mistakes.png"}:  # the page has them one by one
        assert (folder / name).read_bytes() in shown
    assert (
        re.findall(r'(?:src|href|url)\b *[=(] *["\']?(?!"?data:)', page) == []
    )
    assert not re.search(r"https?:|//|<script|<link|@import", re.sub(
        r"base64,[^\"]*", "", page))  # fmt: skip
    assert "default-src 'none'; img-src data:" in page
    assert page.count("<img ") == page.count(" alt=") == len(uris)


def test_page_is_readable_in_the_dark_too(page):
    assert "color-scheme: light dark" in page
    assert "prefers-color-scheme: dark" in page


def test_more_mistakes_than_fit_are_counted_not_hidden(answers, monkeypatch):
    monkeypatch.setattr(reportpage, "MOST_MISTAKES", 5)
    markup = reportpage._mistakes(answers, find_mistakes(answers))
    assert markup.count("<li>") == 5
    assert "Here are the surest 5; 2 more images are not shown." in markup
    assert "52 pairs have a wrong answer" in markup


def test_flawless_model_has_no_picture_of_mistakes(digits):
    answers = ask(digits)
    sections = {s.heading: s for s in report._sections(answers, {})}
    assert sections["Mistakes"].pictures == {}
    assert "every answer" in reportpage._mistakes(answers, [])
    assert "Values" not in sections


def test_values_have_a_section_and_come_last_among_mistakes(digits):
    answers = ask(digits)
    for name in ("sum", "difference"):
        values = answers.true[name] + 0.25
        answers.predictions[name] = values[..., np.newaxis]
    answers.predictions["sum"][4, 4] += 1
    sections = {s.heading: s for s in report._sections(answers, {})}
    assert list(sections["Values"].pictures) == ["values.png"]
    markup = reportpage._mistakes(answers, sections["Mistakes"].mistakes)
    assert "sorted by their error" in markup and "sure<" not in markup


def test_earlier_report_is_replaced_whole(answers, tmp_path, one_picture):
    folder = tmp_path / "report"
    report.save_report(folder, answers, {}, FACTS)
    (folder / "values.png").write_bytes(b"of another model")
    report.save_report(folder, answers, {}, {"model": "the second"})
    assert "the second" in (folder / report.PAGE).read_text()
    names = {path.name for path in folder.iterdir()}
    assert names == {report.PAGE, "examples.png"}
    assert list(tmp_path.iterdir()) == [folder]


def test_report_that_fails_leaves_what_was_there(
    answers, tmp_path, one_picture, monkeypatch
):
    folder = tmp_path / "report"
    report.save_report(folder, answers, {}, FACTS)
    before = (folder / report.PAGE).read_bytes()

    def full_disk(*of):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reportpage, "render", full_disk)
    with pytest.raises(InputError, match="Cannot write.*No space left"):
        report.save_report(folder, answers, {}, FACTS)
    with pytest.raises(InputError, match="Cannot write"):
        report.save_report(tmp_path / "other", answers, {}, FACTS)
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
def test_folder_that_holds_something_else_is_refused_before_the_work(
    tmp_path, capsys, monkeypatch, files, held
):
    monkeypatch.setattr(open, "open_target", pytest.fail)
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("precious")
    if "report" in files:
        (folder / "index.html").write_text(reportpage.MARK)
        (folder / "report").unlink()
    assert evaluate.main(["--report", str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: A report needs a new or empty folder")
    assert error.endswith(f"which holds {held}\n") and error.count("\n") == 1
    assert (folder / held).read_text() == "precious"


def test_file_within_the_report_is_refused_before_the_work(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(open, "open_target", pytest.fail)
    monkeypatch.chdir(tmp_path)
    assert evaluate.main(["--report", "new", "--json", "./new/x/y.json"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: A report has its folder to itself")
    assert error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_folder_that_leads_to_itself_is_refused_before_the_work(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(open, "open_target", pytest.fail)
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    assert evaluate.main(["--report", str(loop), "--json", "x.json"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: A report needs a folder, not a link")
    assert error.count("\n") == 1 and str(loop) in error


def test_folder_that_cannot_be_replaced_is_refused_before_the_work(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(open, "open_target", pytest.fail)
    folder = tmp_path.resolve() / "report"
    folder.mkdir()
    refusals = {
        "ismount": lambda path: Path(path) == folder,
        "access": lambda path, mode: path != folder.parent,
    }
    for name, answer in refusals.items():
        where = os.path if name == "ismount" else os
        with monkeypatch.context() as patch:
            patch.setattr(where, name, answer)
            assert evaluate.main(["--report", str(folder)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: A report replaces its folder")
        assert error.count("\n") == 1 and str(folder) in error


def test_name_that_is_no_text_is_on_the_page(answers, tmp_path, one_picture):
    name = b"mod\xe8le.keras".decode(errors="surrogateescape")
    report.save_report(tmp_path / "report", answers, {}, {"model": name})
    page = (tmp_path / "report" / report.PAGE).read_text()
    assert "mod\\udce8le.keras" in page


def test_report_of_no_run_needs_a_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(open, "open_target", pytest.fail)
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
    run = tmp_path / "runs" / "mine"
    atomic_files.write_text(run / run_directory.CONFIG, config.to_json())
    build.build_model(config).save(run / run_directory.MODEL)
    drawn = []

    def sections(answers, tables):
        drawn.append((answers, tables))
        return [Section("Heading", "", {"examples.png": Figure((1, 1))})]

    monkeypatch.setattr(report, "_sections", sections)
    monkeypatch.chdir(tmp_path)
    assert evaluate.main(["--report", "--json", "results.json"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("\nreport runs/mine/report/index.html\n")
    page = (run / "report" / "index.html").read_text()
    results = json.loads((tmp_path / "results.json").read_text())
    [(answers, tables)] = drawn
    assert answers.evaluation.correct == results["correct"]
    for name, count in results["correct"].items():
        assert f"<tr><th>{name}</th><td>{count:,}</td>" in page
    assert tables["difference"].shape == (10, 10, 19)
    assert "runs/mine: preset residual, head table" in text_of(page)
    assert evaluate.main(["--report"]) == 0  # again, over the first
