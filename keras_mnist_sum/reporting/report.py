"""A report: a page on how good a model is, and its pictures as files."""

import os
import re
import shutil
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.mistakes import find_mistakes
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.formats.run_directory import Run
from keras_mnist_sum.reporting import charts
from keras_mnist_sum.reporting import default_style
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.reporting import page
from keras_mnist_sum.reporting import pair_tables
from keras_mnist_sum.reporting.page import Section
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils import environment
from keras_mnist_sum.utils.arguments import as_path

PAGE = "index.html"
_RUNTIMES = ("onnxruntime", "ai-edge-litert")
# Pictures that a report may have: those of a confusion are named by output.
_PICTURES = re.compile(
    "(overview|curves|mistakes|confusion_[a-z0-9_]+|accuracy|reliability|values"
    r"|examples|arithmetic)\.png"  # The last two of earlier versions.
)


def folder_in(target: Path | None) -> Path:
    """Where the report of a run goes, if nobody says: a folder in the run.

    Args:
        target: The run; `None` means the model that comes with the package.

    Raises:
        InputError: If that is no run directory.
    """
    if target and (run := Run(target)).has_begun:
        return run.report
    raise InputError(
        "Only a run has a place of its own for a report: name a folder, "
        "--report DIR. "
        f"Received: {str(target or 'the model that comes with the package')!r}"
    )


def check_folder(folder: Path) -> None:
    """Checks, without writing, that a report may be written to `folder`.

    Raises:
        InputError: If it holds anything but an earlier report, or is not
            writable.
    """
    folder = as_path(folder, "This must be the path of a folder")
    place = Path(os.path.realpath(folder))
    if place.is_symlink():
        raise InputError(
            "A report needs a folder, not a link that leads to itself. "
            f"Received: {str(folder)!r}"
        )
    index = folder / PAGE
    atomic_files.check_file(index)
    if not folder.is_dir():
        return
    if os.path.ismount(place) or atomic_files.why_not_writable(place.parent):
        raise InputError(
            "A report replaces its folder, so it must be able to write beside "
            "it, and no disk may be mounted there: name a folder in it. "
            f"Received: {str(folder)!r}"
        )
    ours = index.is_file() and page.MARK in index.read_text(
        encoding="utf-8", errors="replace"
    )
    others = {
        path.name
        for path in folder.iterdir()
        if not (ours and (path.name == PAGE or _PICTURES.fullmatch(path.name)))
    }
    if others:
        raise InputError(
            "A report needs a new or empty folder, or one that holds an "
            f"earlier report alone. Received: {str(folder)!r}, which holds "
            f"{min(others)}"
        )


@default_style()
def save_report(
    folder: Path,
    predictions: Predictions,
    tables: Mapping[str, np.ndarray],
    facts: Mapping[str, str],
    warnings: Sequence[str] = (),
    curves: Path | None = None,
) -> None:
    """Writes a page, `index.html`, which needs no other file, and its
    pictures as PNG files.

    Args:
        folder: Where to: whole, or not at all. An earlier report is replaced.
        predictions: Those of the test set.
        tables: The tables that the model learned, as `learned_tables` returns
            them; empty if there are none, or they cannot be seen.
        facts: What the page says first, by name: which model, which data.
        warnings: What is to be known before the numbers are believed.
        curves: The picture of the run's learning curves, if there is one.

    Raises:
        InputError: If `check_folder` does, or the system refuses to write.
    """
    check_folder(folder)
    folder = Path(os.path.realpath(folder))
    machine = environment.facts()
    scores = predictions.scores
    packages = machine["packages"]
    packages |= {name: environment.version(name) for name in _RUNTIMES}
    facts = {
        **facts,
        "scored": f"{scores.images:,} images, each with every number 0-9: "
        f"{scores.pairs:,} pairs",
        "date": machine["time"].replace("T", " ").replace("+00:00", " UTC"),
        "machine": f"{machine['processor']}, {machine['device']}",
        "versions": ", ".join(
            f"{name} {version}"
            for name, version in {
                "Python": machine["python"],
                **packages,
            }.items()
            if version
        ),
    }
    with atomic_files.atomic_write(folder) as aside:
        aside.mkdir()
        sections = _sections(predictions, tables)
        if curves and _is_picture(curves):
            sections.insert(1, _learning(curves))
        for section in sections:
            for name, picture in section.pictures.items():
                if isinstance(picture, Path):
                    shutil.copyfile(picture, aside / name)
                else:
                    picture.savefig(aside / name)
        text = page.render(facts, warnings, predictions, sections, aside)
        # The system's names of files may be no UTF-8.
        (aside / PAGE).write_text(
            text, encoding="utf-8", errors="backslashreplace"
        )


def _sections(
    predictions: Predictions, tables: Mapping[str, np.ndarray]
) -> list[Section]:
    """The report's pictures, and how to read them."""
    found = find_mistakes(predictions)
    # Small pictures first: they have room side by side.
    names = sorted(
        predictions.task, key=lambda name: predictions.task[name].num_classes
    )
    sections = [
        Section(
            "At a glance",
            "Predictions for twenty test images, spread evenly over the set, "
            "wrong ones bold and orange. The tables have the value of each "
            "output for each digit and number, wrong ones in an orange frame. "
            "Learned tables are weights of the model. Without one, or where "
            "the file does not show it, what is predicted most often for the "
            "test images takes its place.",
            {
                "overview.png": image_grids.overview(
                    predictions, tables, predictions.scores.title()
                )
            },
        ),
        Section(
            "Mistakes",
            "",
            {"mistakes.png": image_grids.mistakes(predictions, found)}
            if found
            else {},
            mistakes=found,
        ),
        Section(
            "Confusion",
            "A row for each label, a column for each prediction; the cells "
            "count pairs, right ones on the blue diagonal.",
            {
                f"confusion_{name}.png": charts.confusion(predictions, name)
                for name in names
            },
        ),
        Section(
            "Accuracy by digit and number",
            "The share of test images of that digit for which the prediction "
            "with that number is right. Rows differ where digits are hard to "
            "read; cells of a row differ where the arithmetic does.",
            {"accuracy.png": pair_tables.accuracy(predictions)},
        ),
        Section(
            "Confidence",
            "The pairs in 15 bins of confidence. A point above the dashed line "
            "is a bin in which the model is right more often than it believes, "
            "one below it less often. A line through a point is its 95 % "
            "interval, which counts each image once: if it crosses the dashed "
            "line, the bin is too small to tell. Calibration error is the "
            "distance from the line, averaged over pairs. The bars count the "
            "pairs of each bin, on a logarithmic scale.",
            {"reliability.png": charts.reliability(predictions)},
        ),
    ]
    if predictions.errors:
        sections.append(
            Section(
                "Values",
                "Outputs that are values, not distributions. What lies in an "
                "orange box is rounded to the label.",
                {"values.png": charts.values(predictions)},
            )
        )
    return sections


def _learning(curves: Path) -> Section:
    return Section(
        "Learning curves",
        "Wrong answers and loss of each output while it was trained, on "
        "logarithmic scales, and the learning rate.",
        {"curves.png": curves},
    )


def _is_picture(path: Path) -> bool:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.verify()
    except Exception:  # None is there, or a file of any other kind.
        return False
    return True
