"""What `benchmarks.peers` measured: tables, and the two aims.

Everything here is made of its JSON alone.
"""

import json
import math
import re
import statistics

import numpy as np

from benchmarks import formatting
from benchmarks.formatting import duration

MARKS = (99.0, 99.5, 99.6)
OUTPUTS = ("digit", "sum", "difference")
TIMES_FASTER = 20  # the aim, where sums are predicted
LEARNED_SUMS = 11.0  # percent; a constant answer, 9, has 10


def to_json(report: dict) -> str:
    """JSON text with a line for each point of a run."""
    text = json.dumps(report, indent=2)
    return re.sub(r"\{\s+(\"step\"[^}]*?)\s+\}", _in_a_line, text) + "\n"


def _in_a_line(match: re.Match) -> str:
    return "{" + re.sub(r"\s+", " ", match[1]) + "}"


def seconds_to(run: dict, output: str, mark: float) -> float:
    """Seconds of training until `output` first reaches `mark` percent at a
    scoring; infinity if it never does."""
    reached = [x["seconds"] for x in run["points"] if x[output] >= mark]
    return min(reached, default=math.inf)


def median_to(entry: dict, output: str, mark: float) -> float:
    """The median over the runs of a competitor."""
    return statistics.median(seconds_to(x, output, mark) for x in done(entry))


def done(entry: dict) -> list[dict]:
    """The runs that went as far as they were meant to."""
    return [
        run
        for run in entry["runs"]
        if run["state"] not in ("failed", "diverged", "running")
        and run["points"]
    ]


def _count(entry: dict) -> str:
    """Of the runs that went as far as they were meant to, and of others."""
    count = str(len(done(entry)))
    diverged = sum(run["state"] == "diverged" for run in entry["runs"])
    return f"{count} ({diverged} more diverged)" if diverged else count


def best_accuracy(entry: dict, output: str) -> float:
    """The highest accuracy at any scoring, the mean over the runs."""
    return statistics.mean(
        max(point[output] for point in run["points"]) for run in done(entry)
    )


def epoch_seconds(entry: dict) -> list[float]:
    """Seconds of each whole epoch of each run."""
    seconds: list[float] = []
    for run in done(entry):
        images = [0, *(point["images"] for point in run["points"])]
        clock = [0.0, *(point["seconds"] for point in run["points"])]
        epoch = entry["images_in_an_epoch"]
        ends = np.arange(0, images[-1] + 1, epoch)
        seconds += np.diff(np.interp(ends, images, clock)).tolist()
    return seconds


def images_per_second(entry: dict) -> float:
    """Without the first slice of each run, which traces, if it has more."""
    rates = []
    for run in done(entry):
        first, last = run["points"][0], run["points"][-1]
        if first is last:
            first = {"images": 0, "seconds": 0.0}
        rates.append(
            (last["images"] - first["images"])
            / (last["seconds"] - first["seconds"])
        )
    return statistics.median(rates)


def costs(report: dict) -> str:
    """A table of what each competitor is, and what its training costs."""
    header = [
        *("", "framework", "precision", "parameters", "epochs", "n"),
        *("training", "an epoch", "images/s", "peak memory"),
    ]
    rows = []
    for name, entry in competitors(report):
        epochs = [
            run["points"][-1]["images"] / entry["images_in_an_epoch"]
            for run in done(entry)
        ]
        trained = f"{statistics.median(epochs):.3g}"
        if any(run["state"] != "finished" for run in done(entry)):
            trained += f" of {entry['epochs']:g}"
        whole = epoch_seconds(entry)
        total = [run["points"][-1]["seconds"] for run in done(entry)]
        memory = [run["peak_megabytes"] for run in done(entry)]
        rows.append(
            [
                f"`{name}`",
                entry["framework"],
                entry["precision"],
                f"{entry['parameters']:,}",
                trained,
                _count(entry),
                duration(statistics.median(total)),
                duration(statistics.median(whole)) if whole else "",
                f"{images_per_second(entry):,.0f}",
                f"{statistics.median(memory):,.0f} MB",
            ]
        )
    return formatting.table(header, rows)


def marks(report: dict) -> str:
    """A table of the best accuracies and of the seconds to each mark."""
    header = ["", "output", "best", "last"]
    header += [f"to {mark:.1f} %" for mark in MARKS]
    rows = []
    for name, entry in competitors(report):
        for output in entry["outputs"]:
            found = done(entry)
            last = [run["points"][-1][output] for run in found]
            rows.append(
                [
                    f"`{name}`" if output == "digit" else "",
                    output,
                    f"{best_accuracy(entry, output):.2f}",
                    f"{statistics.mean(last):.2f}",
                    *(_reached(entry, output, mark) for mark in MARKS),
                ]
            )
    return formatting.table(header, rows)


def _reached(entry: dict, output: str, mark: float) -> str:
    times = [seconds_to(run, output, mark) for run in done(entry)]
    reached = sum(map(math.isfinite, times))
    if not reached:
        return "never"
    share = "" if reached == len(times) else f"{reached} of {len(times)}"
    median = statistics.median(times)
    if math.isinf(median):
        return share
    return f"{duration(median)} ({share})" if share else duration(median)


def conditions(report: dict) -> str:
    """When and on what: a sentence."""
    packages = report["packages"]
    commands: dict[tuple[str, str], list[str]] = {}
    for name, entry in competitors(report):
        key = entry["command"], entry["time"][:10]
        commands.setdefault(key, []).append(f"`{name}`")
    parts = [
        f"`{command}`, {day}"
        + (f" ({', '.join(names)})" if len(commands) > 1 else "")
        for (command, day), names in commands.items()
    ]
    return (
        f"{'; '.join(parts)}: {report['processor']}, {report['cores']} cores, "
        f"TensorFlow {packages['tensorflow']}, Keras {packages['keras']}, "
        f"PyTorch {packages['torch']}, Python {report['python']}; "
        f"{report['data']}."
    )


def aims(report: dict) -> list[str]:
    """How often ours is faster, for each peer, and whether that was aimed at:
    lines of Markdown."""
    entries = dict(competitors(report))
    ours = [name for name in entries if entries[name]["ours"]]
    lines = [
        f"- `{name}` diverged in all of its {len(entry['runs'])} runs."
        for name, entry in report["competitors"].items()
        if entry["runs"]
        and all(run["state"] == "diverged" for run in entry["runs"])
    ]
    for name, entry in entries.items():
        if name not in ours and "sum" in entry["outputs"] and ours:
            lines.append(_sum_aim(name, entries, ours))
    digits = {
        name: median_to(entry, "digit", MARKS[0])
        for name, entry in entries.items()
        if entry["outputs"] == ["digit"]
    }
    if digits and ours:
        best = min(digits, key=lambda name: digits[name])
        mine = min(ours, key=lambda x: median_to(entries[x], "digit", 99.0))
        theirs = digits[best]
        here = median_to(entries[mine], "digit", MARKS[0])
        verdict = "met" if math.isfinite(here) and here <= theirs else "missed"
        lines.append(
            f"- {MARKS[0]:.1f} % of digits: `{mine}` "
            f"{_reached(entries[mine], 'digit', MARKS[0])}; the soonest of "
            f"those that predict digits alone, `{best}`, "
            f"{_reached(entries[best], 'digit', MARKS[0])}. Aim: at least "
            f"level; {verdict}."
        )
    return lines


def _sum_aim(name: str, entries: dict, ours: list[str]) -> str:
    best, seconds, times = _to_its_best_sums(name, entries, ours)
    if best <= LEARNED_SUMS:
        return (
            f"- `{name}` learned no sums: its {best:.2f} % is what a constant "
            "answer has."
        )
    fastest = min(times, key=lambda x: times[x])
    compared = ", ".join(
        f"`{x}` never"
        if math.isinf(t)
        else f"`{x}` in {duration(t)} ({_ratio(seconds / t)} times as fast)"
        for x, t in times.items()
    )
    met = seconds >= TIMES_FASTER * times[fastest]
    return (
        f"- `{name}` has its best sums, {best:.2f} %, after "
        f"{duration(seconds)}; ours have as many right: {compared}. Aim: "
        f"{TIMES_FASTER} times as fast; {'met' if met else 'missed'}."
    )


def _to_its_best_sums(
    name: str, entries: dict, ours: list[str]
) -> tuple[float, float, dict[str, float]]:
    """The best sums of all runs of a peer, how soon that run had them, and
    how soon each of ours has as many."""
    best, seconds = max(
        (
            (x["sum"], x["seconds"])
            for run in done(entries[name])
            for x in run["points"]
        ),
        key=lambda point: (point[0], -point[1]),
    )
    return best, seconds, {x: median_to(entries[x], "sum", best) for x in ours}


def summary(report: dict) -> str:
    """A table with a row for each competitor."""
    entries = dict(competitors(report))
    ours = [name for name in entries if entries[name]["ours"]]
    header = ["", "framework", "n", "digits", "sums"]
    header += [f"{mark:.1f} % of digits after" for mark in (99.0, 99.6)]
    header.append("ours, to as many sums")
    rows = []
    for name, entry in entries.items():
        sums = "sum" in entry["outputs"]
        compared = ""
        if sums and name not in ours:
            best, seconds, times = _to_its_best_sums(name, entries, ours)
            soonest = min(times.values(), default=math.inf)
            if math.isinf(soonest):
                compared = "never"
            elif best > LEARNED_SUMS:
                compared = f"{_ratio(seconds / soonest)} times as fast"
        rows.append(
            [
                f"`{name}`",
                entry["framework"],
                _count(entry),
                f"{best_accuracy(entry, 'digit'):.2f}",
                f"{best_accuracy(entry, 'sum'):.2f}" if sums else "",
                _reached(entry, "digit", 99.0),
                _reached(entry, "digit", 99.6),
                compared,
            ]
        )
    return formatting.table(header, rows)


def competitors(report: dict) -> list[tuple[str, dict]]:
    """Those of which there is something to show, by name."""
    return [(k, x) for k, x in report["competitors"].items() if done(x)]


def _ratio(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 100 else f"{ratio:,.0f}"
