"""What `comparison` found, as a table for a person and as CSV."""

import csv
import io
import itertools
import textwrap
from collections.abc import Sequence

import numpy as np

from keras_mnist_sum.evaluation.comparison import Group

_ERRORS = ("negative_log_likelihood", "brier_score", "calibration_error")


def table(groups: Sequence[Group], width: int = 80) -> str:
    """The groups for a person: a row each, the first one compared with the
    others, between what their letters and their columns mean.

    Args:
        groups: What `compare` returned.
        width: In characters: sentences and names are wrapped to it.
    """
    letters = _letters(groups)
    outputs = list(dict.fromkeys(name for x in groups for name in x.correct))
    rows = [["", "n", *outputs, "interval", *["p"][: len(groups) - 1]]]
    for letter, group in zip(letters, groups, strict=True):
        cells = [
            _mean_std(group.accuracies(x)) if x in group.correct else ""
            for x in outputs
        ]
        low, high = (100 * end for end in group.interval("all"))
        row = [letter, str(len(group.paths)), *cells]
        row.append(f"{low:.2f} to {high:.2f}")
        if group is not groups[0]:
            row.append(f"{group.p_value('all', groups[0]):.2g}")
        rows.append(row)
    widths = [
        max(map(len, column))
        for column in itertools.zip_longest(*rows, fillvalue="")
    ]
    lines = [
        _wrap(f"{letter:{widths[0]}}  {group.name}", width, widths[0] + 2)
        for letter, group in zip(letters, groups, strict=True)
    ]
    lines.append("")
    lines += [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(
                zip(row, widths, strict=False)  # A has no p.
            )
        ).rstrip()
        for row in rows
    ]
    words = "In percent"
    if any(len(group.paths) > 1 for group in groups):
        words += ", mean ± standard deviation over n seeds"
    words += (
        ". The interval is that of all, to 95 %, for other images and these "
        "models."
    )
    if len(groups) > 1:
        words += (
            " p is how likely a difference from A in all this large is, were "
            "both equally good (McNemar, by image)."
        )
    return "\n".join([*lines, "", _wrap(words, width)])


def _wrap(text: str, width: int, indent: int = 0) -> str:
    return textwrap.fill(
        text,
        max(width, 40) - 1,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def to_csv(groups: Sequence[Group]) -> str:
    """The groups as CSV, a row for each group and output; accuracies 0-1."""
    settings = dict.fromkeys(name for x in groups for name in x.settings)
    rows = []
    for letter, group in zip(_letters(groups), groups, strict=True):
        for output in group.correct:
            low, high = group.interval(output)
            rows.append(
                {
                    "group": letter,
                    **{name: group.settings.get(name, "") for name in settings},
                    "output": output,
                    "n": len(group.paths),
                    "accuracy_mean": group.accuracies(output).mean(),
                    "accuracy_std": _std(group.accuracies(output)),
                    "interval_low": low,
                    "interval_high": high,
                    "p_value": ""
                    if group is groups[0] or output not in groups[0].correct
                    else group.p_value(output, groups[0]),
                    **{name: _mean(group, name, output) for name in _ERRORS},
                    "models": " ".join(map(str, group.paths)),
                }
            )
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _letters(groups: Sequence[Group]) -> list[str]:
    """A, B, ..., Z, A1, B1, ..."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [
        alphabet[i % 26] + (str(i // 26) if i >= 26 else "")
        for i in range(len(groups))
    ]


def _mean(group: Group, measure: str, output: str) -> float | str:
    values = [getattr(scores, measure).get(output) for scores in group.scores]
    return "" if None in values else float(np.mean(values))


def _std(values: np.ndarray) -> float | str:
    return float(values.std(ddof=1)) if len(values) > 1 else ""


def _mean_std(accuracies: np.ndarray) -> str:
    text = f"{100 * accuracies.mean():.2f}"
    if len(accuracies) > 1:
        text += f" ± {100 * accuracies.std(ddof=1):.2f}"
    return text
