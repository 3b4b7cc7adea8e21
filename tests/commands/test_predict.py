"""The command `predict`, as a user types it."""

import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_mnist_sum.__main__ import main
from keras_mnist_sum.config import Config
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.models.build import build_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pictures, dark on light and larger than MNIST's."""
    folder = tmp_path_factory.mktemp("pictures")
    mnist = load_mnist("sample", test_only=True)
    for index in (5, 305, 705):
        image = Image.fromarray(255 - mnist.test_images[index])
        image = image.resize((280, 280), Image.Resampling.BICUBIC)
        image.save(folder / f"{mnist.test_labels[index]}.png")
    return folder


def digits_in(folder):
    return sorted(int(path.stem) for path in folder.glob("*.png"))


def run(capsys, *arguments):
    try:
        code = main(["predict", *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    return code, said.out.splitlines(), said.err.splitlines()


def test_each_picture_of_a_folder_gets_a_line(capsys, folder):
    code, lines, errors = run(capsys, folder, "--number", 4)
    assert (code, errors) == (0, [])
    for line, digit in zip(lines, digits_in(folder), strict=True):
        assert line.startswith(f"{folder / str(digit)}.png  digit {digit} (")
        assert f"{digit} + 4 = {digit + 4} (" in line
        assert f"|{digit} - 4| = {abs(digit - 4)} (" in line


def test_json_has_a_line_for_each_picture(capsys, folder):
    code, lines, errors = run(capsys, folder, "--number", 4, "--json")
    assert (code, errors) == (0, [])
    for line, digit in zip(lines, digits_in(folder), strict=True):
        facts = json.loads(line)
        assert facts["picture"] == str(folder / f"{digit}.png")
        assert (facts["digit"], facts["number"]) == (digit, 4)
        assert (facts["sum"], facts["agree"]) == (digit + 4, True)
        assert facts["difference"] == abs(digit - 4)
        assert set(facts["probabilities"]) == {"digit", "sum", "difference"}


def test_every_output_of_another_task_is_printed_and_drawn(
    capsys, folder, tmp_path
):
    config = Config(
        outputs=("product", "digit", "greater"), backbone="small", width=2
    )
    model = tmp_path / "model.keras"
    build_model(config).save(model)
    arguments = [folder, "--number", 4, "--model", model]
    code, lines, errors = run(capsys, *arguments, "--json")
    assert (code, len(lines), errors) == (0, 3, [])
    for line in lines:
        facts = json.loads(line)
        for name, output in config.task.items():
            assert facts[name] in output.values
        assert list(facts["probabilities"]) == ["product", "digit", "greater"]
    code, lines, _ = run(capsys, *arguments, "--show", tmp_path / "shown")
    assert (code, len(list((tmp_path / "shown").iterdir()))) == (0, 3)
    for line in lines:
        assert re.search(r"  \d × 4 = \d+ \(.*  digit .*  \d > 4 = [01] ", line)


def test_answers_the_others_if_one_picture_is_bad(capsys, folder, tmp_path):
    (tmp_path / "empty.png").touch()
    Image.new("L", (99, 99), 255).save(tmp_path / "blank.png")
    (tmp_path / "folder").mkdir()
    names = ("empty.png", "blank.png", "missing.png", "folder", 300 * "x")
    bad = [tmp_path / name for name in names]
    pictures = [*bad[:2], folder, *bad[2:]]
    code, lines, errors = run(capsys, *pictures, "--number", 4)
    assert code == 2 and len(lines) == 3
    for name, error in zip(names, errors, strict=True):
        # Of a name that is too long, the end is enough.
        assert error.startswith("error: ") and name[-40:] in error
    code, lines, errors = run(capsys, *pictures, "--number", 4, "--json")
    assert code == 2 and errors == []
    assert ["error" in json.loads(line) for line in lines] == [
        True,
        True,
        False,
        False,
        False,
        True,
        True,
        True,
    ]


@pytest.fixture
def mixed(folder, tmp_path):
    """A folder as people have them; what is a digit, what fails, what else."""
    picture = next(folder.glob("*.png"))
    digits = ["2.PNG", "10.jfif", "100.png"]
    for name in [*digits, ".hidden.png"]:
        shutil.copy(picture, tmp_path / name)
    bad = {"1.HEIC": b"\0\0\0\x18ftypheic", "3.png": b"", "4.jpg": b"\xff\xd8"}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    others = ["data.csv", "paper.pdf", "README", "sub"]
    for name in others[:-1]:
        (tmp_path / name).write_text("no picture")
    (tmp_path / "sub").mkdir()
    (tmp_path / "lost.png").symlink_to("nowhere")
    return tmp_path, digits, [*bad, "lost.png"], others


def test_folder_names_what_it_skips_and_why(capsys, mixed):
    folder, digits, bad, others = mixed
    code, lines, errors = run(capsys, folder, "--number", 4)
    assert code == 2
    names = [line.split()[0] for line in lines]
    assert names == [str(folder / name) for name in digits]  # 2 before 10
    skipped = [x for x in errors if x.startswith("skipped: ")]
    for name, line in zip(sorted(others), sorted(skipped), strict=True):
        assert f"/{name}' (" in line and "name it, too" in line
    failed = [x for x in errors if x.startswith("error: ")]
    assert len(failed) + len(skipped) == len(errors)
    for name, line in zip(bad, failed, strict=True):
        assert f"/{name}' (" in line
    assert "convert it to JPEG" in failed[0]


def test_json_has_a_line_for_what_is_skipped(capsys, mixed):
    folder, digits, bad, others = mixed
    code, lines, errors = run(capsys, folder, "--number", 4, "--json")
    assert (code, errors) == (2, [])
    facts = [json.loads(line) for line in lines]
    for kind, names in [("digit", digits), ("error", bad), ("skipped", others)]:
        found = [x["picture"] for x in facts if kind in x]
        assert sorted(found) == sorted(str(folder / name) for name in names)


def test_skipping_is_no_failure(capsys, folder, tmp_path):
    shutil.copy(next(folder.glob("*.png")), tmp_path)
    (tmp_path / "notes.txt").touch()
    code, lines, errors = run(capsys, tmp_path, "--number", 4)
    assert (code, len(lines), len(errors)) == (0, 1, 1)


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_reads_standard_input(capsys, folder, monkeypatch, content):
    first = digits_in(folder)[0]
    whole = (folder / f"{first}.png").read_bytes()
    stream = io.BytesIO(whole if content is None else content)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))
    code, lines, errors = run(capsys, "-", "--number", 4)
    if content is None:
        assert code == 0 and lines[0].startswith(f"-  digit {first} (")
    else:
        assert (code, lines, len(errors)) == (2, [], 1)


def test_show_draws_what_the_model_saw(capsys, folder, tmp_path):
    shown = tmp_path / "shown"
    first = folder / f"{digits_in(folder)[0]}.png"
    long = tmp_path / f"{251 * 'x'}.png"
    shutil.copy(first, long)
    pictures = [first, first, long]
    code, lines, _ = run(capsys, *pictures, "--number", 4, "--show", shown)
    assert code == 0 and len(lines) == 3
    names = {path.name for path in shown.iterdir()}
    assert names == {
        first.name,
        f"{first.stem}-2.png",
        f"{200 * 'x'}.png",
    }
    with Image.open(shown / first.name) as picture:
        assert picture.width > 1.5 * picture.height
        pixels = np.asarray(picture.convert("L"))
    assert np.ptp(pixels) == 255
    # White ink on black, as the model saw it.
    assert np.median(pixels[100:250, 20:220]) < 128


def test_answers_the_others_if_one_drawing_fails(capsys, folder, tmp_path):
    first = digits_in(folder)[0]
    (tmp_path / f"{first}.png").mkdir()
    code, lines, errors = run(capsys, folder, "--number", 4, "--show", tmp_path)
    assert code == 2 and len(lines) == 3
    assert "Cannot write" in errors[0] and f"{first}.png" in errors[0]
    assert errors[1:] == [f"drawn  2 in {tmp_path}"]


def test_drawing_replaces_no_picture(capsys, folder, tmp_path):
    pictures = tmp_path / "pictures"
    shutil.copytree(folder, pictures)
    before = {x: x.read_bytes() for x in pictures.iterdir()}
    code, lines, _ = run(capsys, pictures, "--number", 4, "--show", pictures)
    assert (code, len(lines)) == (0, 3)
    assert before == {x: x.read_bytes() for x in before}
    digit = digits_in(folder)[0]
    assert (pictures / f"{digit}-2.png").is_file()


def test_answers_the_others_if_a_link_leads_to_itself(capsys, folder, tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    pictures = [tmp_path / "loop.png", folder]
    code, lines, errors = run(capsys, *pictures, "--number", 4)
    assert (code, len(lines), len(errors)) == (2, 3, 1)
    assert errors[0].startswith("error: ") and "loop.png" in errors[0]


def test_prints_one_line_whatever_a_picture_is_called(capsys, folder, tmp_path):
    shutil.copy(next(folder.glob("*.png")), tmp_path / "two\nlines.png")
    code, lines, errors = run(capsys, tmp_path, "--number", 4)
    assert (code, errors, len(lines)) == (0, [], 1)


@pytest.mark.parametrize(
    "arguments, why",
    [
        (["{folder}", "--number", "10"], "Received: 10"),
        (["{folder}", "--number", "-1"], "Received: -1"),
        (["{folder}", "--number", "3.5"], "'3.5'"),
        (["{folder}", "--number", "x"], "'x'"),
        (["{folder}"], "--number"),
        (["--number", "3"], "PICTURE"),
        (["", "--number", "3"], "a path must not be empty"),
        (["{empty}", "--number", "3"], "a folder, without any"),
        (["https://e.org/5.png", "--number", "3"], "download it first"),
        (["{folder}", "--number", "3", "--model", "none"], "'none'"),
        (["{folder}", "--number", "3", "--show", "/dev/null/x"], "/dev/null/x"),
        (["{folder}", "--number", "3", "--difference", "x"], "'x'"),
    ],
)
def test_rejects_wrong_arguments_in_one_line(
    capsys, folder, tmp_path, arguments, why
):
    arguments = [x.format(folder=folder, empty=tmp_path) for x in arguments]
    code, lines, errors = run(capsys, *arguments)
    assert (code, lines) == (2, [])
    assert len(errors) == 1 and errors[0].startswith("error: ")
    assert why in errors[0]
