"""A report: a page on how good a model is, and its pictures as files."""

import os
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.evaluation.mistakes import find_mistakes
from keras_mnist_sum.evaluation.scores import Answers
from keras_mnist_sum.formats import run_directory
from keras_mnist_sum.reporting import charts
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.reporting import page as report_page
from keras_mnist_sum.reporting.page import Section
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils import environment

PAGE = "index.html"
# The widest last: the other two have room side by side.
_CONFUSION = {
    name: f"confusion_{name}.png" for name in ("digit", "difference", "sum")
}
_RUNTIMES = ("onnxruntime", "ai-edge-litert")
PICTURES = (
    "overview.png",
    "examples.png",
    "mistakes.png",
    *_CONFUSION.values(),
    "arithmetic.png",
    "accuracy.png",
    "reliability.png",
    "values.png",
)


def folder_in(target: Path | None) -> Path:
    """Where the report of a run goes, if nobody says: a folder in the run.

    Args:
        target: The run; `None` means the newest one in `runs/`.

    Raises:
        InputError: If that is no run directory.
    """
    run = target or run_directory.newest_run()
    if run and (run / run_directory.CONFIG).is_file():
        return run / run_directory.REPORT
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
    place = Path(os.path.realpath(folder))
    if place.is_symlink():
        raise InputError(
            "A report needs a folder, not a link that leads to itself. "
            f"Received: {str(folder)!r}"
        )
    page = folder / PAGE
    atomic_files.check_file(page)
    if not folder.is_dir():
        return
    if os.path.ismount(place) or not atomic_files.may_be_created(place.parent):
        raise InputError(
            "A report replaces its folder, so it must be able to write beside "
            "it, and no disk may be mounted there: name a folder in it. "
            f"Received: {str(folder)!r}"
        )
    ours = page.is_file() and report_page.MARK in page.read_text(
        encoding="utf-8", errors="replace"
    )
    allowed = {PAGE, *PICTURES} if ours else set()
    others = {path.name for path in folder.iterdir()} - allowed
    if others:
        raise InputError(
            "A report needs a new or empty folder, or one that holds an "
            f"earlier report alone. Received: {str(folder)!r}, which holds "
            f"{min(others)}"
        )


def save_report(
    folder: Path,
    answers: Answers,
    tables: Mapping[str, np.ndarray],
    facts: Mapping[str, str],
    warnings: Sequence[str] = (),
) -> None:
    """Writes a page, `index.html`, which needs no other file, and its
    pictures as PNG files.

    Args:
        folder: Where to: whole, or not at all. An earlier report is replaced.
        answers: What the model answered to the test set.
        tables: The tables that it learned, as `models.learned_tables` returns
            them; empty if there are none, or they cannot be seen.
        facts: What the page says first, by name: which model, which data.
        warnings: What is to be known before the numbers are believed.

    Raises:
        InputError: If `check_folder` does, or the system refuses to write.
    """
    check_folder(folder)
    folder = Path(os.path.realpath(folder))
    machine = environment.facts()
    scored = answers.evaluation
    packages = machine["packages"]
    packages |= {name: environment.version(name) for name in _RUNTIMES}
    facts = {
        **facts,
        "scored": f"{scored.images:,} images, each with every number 0-9: "
        f"{scored.pairs:,} pairs",
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
    with atomic_files.written_aside(folder) as aside:
        aside.mkdir()
        sections = _sections(answers, tables)
        for section in sections:
            for name, figure in section.pictures.items():
                figure.savefig(aside / name, dpi=150)
        page = report_page.render(facts, warnings, answers, sections, aside)
        # The system's names of files may be no UTF-8.
        (aside / PAGE).write_text(
            page, encoding="utf-8", errors="backslashreplace"
        )


def _sections(
    answers: Answers, tables: Mapping[str, np.ndarray]
) -> list[Section]:
    """The report's pictures, and how to read them."""
    found = find_mistakes(answers)
    scored = answers.evaluation
    sections = [
        Section(
            "At a glance",
            "Answers to twenty test images, spread evenly over the set, wrong "
            "ones bold and orange, and the tables that the model learned.",
            {
                "overview.png": image_grids.overview(
                    answers, tables, scored.title()
                )
            },
        ),
        Section(
            "Examples",
            "The same images, with what is true beside what was answered. A "
            "wrong answer is bold and orange, and so is its image's frame.",
            {"examples.png": image_grids.examples(answers)},
        ),
        Section(
            "Mistakes",
            "",
            {"mistakes.png": image_grids.mistakes(answers, found)}
            if found
            else {},
            mistakes=found,
        ),
        Section(
            "Confusion",
            "A row for each true value, a column for each answer; the cells "
            "count pairs, right ones on the blue diagonal.",
            {
                file: charts.confusion(answers, name)
                for name, file in _CONFUSION.items()
            },
        ),
        Section(
            "Arithmetic",
            "The sum and the difference of each digit and number, wrong ones "
            "in an orange frame. Learned tables are weights of the model. "
            "Without one, or where the file does not show it, the answer given "
            "most often to the test images takes its place.",
            {"arithmetic.png": charts.arithmetic(answers, tables)},
        ),
        Section(
            "Accuracy by digit and number",
            "The share of test images of that digit for which the answer with "
            "that number is right. Rows differ where digits are hard to read; "
            "cells of a row differ where the arithmetic does.",
            {"accuracy.png": charts.accuracy(answers)},
        ),
        Section(
            "Confidence",
            "The pairs in 15 bins of confidence. A point above the dashed line "
            "is a bin in which the model is right more often than it believes, "
            "one below it less often. Calibration error is the distance from "
            "the line, averaged over pairs. The bars count the pairs of each "
            "bin, on a logarithmic scale.",
            {"reliability.png": charts.reliability(answers)},
        ),
    ]
    if answers.errors:
        sections.append(
            Section(
                "Values",
                "Outputs that are values, not distributions. What lies in an "
                "orange box is rounded to the true value.",
                {"values.png": charts.values(answers)},
            )
        )
    return sections
