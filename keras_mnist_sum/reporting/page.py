"""The page of a report: HTML in one piece, which loads nothing."""

import base64
import io
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from keras_mnist_sum.evaluation.mistakes import Mistake
from keras_mnist_sum.evaluation.scores import Predictions
from keras_mnist_sum.reporting import image_grids
from keras_mnist_sum.reporting.layout import DPI

MARK = '<meta name="generator" content="keras_mnist_sum report">'
MOST_MISTAKES = 200  # images on the page
_FIRST = 24  # of them, before a click

_STYLE = """
:root { color-scheme: light dark; --faint: #595959; --line: #ddd;
  --wrong: #b34700; --link: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --faint: #aaa; --line: #444; --wrong: #ff9a4d; --link: #7ab8f5; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1060px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
p { max-width: 46rem; }
a { color: var(--link); }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem;
  margin: 1rem 0; }
table { border-collapse: collapse; }
th, td { padding: .25rem 1.25rem .25rem 0; text-align: left;
  vertical-align: top; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { font-weight: 600; overflow-wrap: normal; }
.numbers td, .numbers thead th:not(:first-child) { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.numbers td:last-child { text-align: left; }
.numbers { display: block; overflow-x: auto; }
.warning { border-left: 4px solid var(--wrong); padding-left: .75rem; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
.pictures img { max-width: 100%; height: auto; background: #fff;
  border: 1px solid var(--line); border-radius: 6px; box-sizing: border-box; }
.mistakes { display: grid; gap: .75rem; padding: 0; margin: .75rem 0;
  grid-template-columns: repeat(auto-fill, minmax(6.25rem, 1fr)); }
.mistakes li { list-style: none; font-size: .8rem; line-height: 1.35;
  overflow-wrap: anywhere; }
.mistakes img { width: 4.5rem; image-rendering: pixelated;
  border: 2px solid var(--wrong); display: block; margin-bottom: .25rem; }
.mistakes b { color: var(--wrong); display: block; }
.mistakes span { color: var(--faint); display: block; }
@media (max-width: 600px) {
  th, td { padding-right: .5rem; font-size: .8rem; }
  .numbers thead th:not(:first-child), .numbers td:last-child {
    white-space: normal; overflow-wrap: normal; } }
summary { cursor: pointer; color: var(--link); }
"""


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        heading: What it is about.
        reading: How to read its pictures.
        pictures: By the name of their file, a figure, or the picture's file
            that there is already.
        mistakes: If it is about these: the page then shows their images
            instead of the pictures.
    """

    heading: str
    reading: str
    pictures: Mapping[str, Figure | Path]
    mistakes: list[Mistake] | None = None


def render(
    facts: Mapping[str, str],
    warnings: Sequence[str],
    predictions: Predictions,
    sections: Sequence[Section],
    folder: Path,
) -> str:
    """The whole page, with the pictures that lie in `folder`."""
    scores = predictions.scores
    share = 100 * scores.accuracy()["all"]
    title = f"{share:.2f} % of {scores.pairs:,} test pairs all right"
    body = [
        f"<h1>{escape(title)}</h1>",
        *(f'<p class="warning">{escape(line)}</p>' for line in warnings),
        _contents(["Numbers", *(section.heading for section in sections)]),
        _facts(facts),
        _heading("Numbers"),
        _numbers(predictions),
    ]
    for section in sections:
        body.append(_heading(section.heading))
        if section.mistakes is None:
            body.append(_pictures(section, folder))
        else:
            body.append(_mistakes(predictions, section.mistakes))
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>',
            '<meta charset="utf-8">',
            MARK,
            # A browser then loads nothing, whatever a file name holds.
            '<meta http-equiv="Content-Security-Policy" content="default-src '
            "'none'; img-src data:; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>\n</head>\n<body>",
            *body,
            "</body>\n</html>\n",
        ]
    )


def _contents(headings: Sequence[str]) -> str:
    links = (f'<a href="#{_id(x)}">{escape(x)}</a>' for x in headings)
    return "\n".join(["<nav>", *links, "</nav>"])


def _heading(heading: str) -> str:
    return f'<h2 id="{_id(heading)}">{escape(heading)}</h2>'


def _id(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def _facts(facts: Mapping[str, str]) -> str:
    rows = (
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in facts.items()
    )
    return "\n".join(["<table>", *rows, "</table>"])


def _numbers(predictions: Predictions) -> str:
    scores = predictions.scores
    rows = (
        f"<tr><th>{escape(name)}</th><td>{count:,}</td>"
        f"<td>{100 * count / scores.pairs:.2f} %</td>"
        f"<td>{_interval(scores.interval.get(name))}</td>"
        f"<td>{escape(error)}</td></tr>"
        for name, count, error in scores.rows()
    )
    return "\n".join(
        [
            '<table class="numbers">',
            "<thead><tr><th>output</th>"
            f"<th>right of {scores.pairs:,}</th><th>accuracy</th>"
            "<th>95 % interval</th><th></th></tr></thead>",
            *rows,
            "</table>",
            "<p>Contradictory are pairs whose predictions cannot all be right: "
            "one does not follow from the digit that was read and the number. "
            "The interval is for other images of the same kind.</p>",
        ]
    )


def _interval(ends: tuple[float, float] | None) -> str:
    return f"{100 * ends[0]:.2f} to {100 * ends[1]:.2f}" if ends else ""


def _pictures(section: Section, folder: Path) -> str:
    pictures = []
    for name, figure in section.pictures.items():
        alt = section.heading
        if isinstance(figure, Figure):
            alt = figure.get_suptitle()
        with Image.open(folder / name) as image:
            width, height = (round(96 / DPI * x) for x in image.size)
        pictures.append(
            f'<img src="{_data_uri((folder / name).read_bytes())}" '
            f'alt="{escape(alt)}" width="{width}" height="{height}">'
        )
    return "\n".join(
        [
            f"<p>{escape(section.reading)}</p>",
            '<div class="pictures">',
            *pictures,
            "</div>",
        ]
    )


def _mistakes(predictions: Predictions, found: list[Mistake]) -> str:
    shown = found[:MOST_MISTAKES]
    if not found:
        return "<p>None: every prediction for every pair is right.</p>"
    wrong = predictions.all_correct.size - predictions.scores.all_correct
    more = ""
    if len(shown) < len(found):
        more = (
            f" <strong>Here are the surest {len(shown)}; "
            f"{len(found) - len(shown):,} more images are not shown.</strong>"
        )
    return "\n".join(
        [
            f"<p>{wrong:,} pairs have a wrong prediction. They belong to "
            f"{len(found):,} images, each shown once, with the digit that was "
            "read, or, where that is right, the surest wrong prediction. The "
            "surest come first: sorted by the probability of what is wrong"
            + (
                "; values, which have none, come last, sorted by their error"
                if predictions.errors
                else ""
            )
            + f". Test images are numbered from 0.{more}</p>",
            _images(predictions, shown[:_FIRST]),
            *(
                [
                    f"<details><summary>{len(shown) - _FIRST} more</summary>",
                    _images(predictions, shown[_FIRST:]),
                    "</details>",
                ]
                if len(shown) > _FIRST
                else []
            ),
        ]
    )


def _images(predictions: Predictions, shown: list[Mistake]) -> str:
    return "\n".join(
        [
            '<ul class="mistakes">',
            *(_mistake(predictions, mistake) for mistake in shown),
            "</ul>",
        ]
    )


def _mistake(predictions: Predictions, mistake: Mistake) -> str:
    file = io.BytesIO()
    image = image_grids.without_channel(predictions.images[mistake.index])
    # Gray ones as dark ink on a light page.
    Image.fromarray(255 - image if image.ndim == 2 else image).save(file, "PNG")
    label = predictions.digits[mistake.index]
    return (
        f'<li><img src="{_data_uri(file.getvalue())}" alt="a {label}">'
        f"<b>{escape(image_grids.describe(predictions, mistake))}</b>"
        f"{'<br>'.join(image_grids.how_sure(mistake))}"
        f"<span>test image {mistake.index}</span></li>"
    )


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
