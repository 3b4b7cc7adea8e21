"""What `peers` measured: tables, and the two aims, of its JSON alone."""

import math
import statistics

import numpy as np

from benchmarks.report.formatting import duration
from benchmarks.report.formatting import table

MARKS = (99.0, 99.5, 99.6)
TIMES_FASTER = 20  # the aim, where sums are predicted
LEARNED_SUMS = 11.0  # percent; a constant answer, 9, has 10


def make(report: dict, parts: list[str]) -> str:
    """Parts of the page: `conditions`, `summary`, `aims`, `marks`, `costs`."""
    makers = {
        "aims": lambda report: "\n".join(aims(report)),
        "summary": summary,
        "marks": marks,
        "costs": costs,
        "conditions": conditions,
    }
    return "\n\n".join(makers[part](report) for part in parts)


def done(entry: dict) -> list[dict]:
    """The runs that went as far as they were meant to."""
    unfinished = ("failed", "diverged", "running")
    runs = [x for x in entry["runs"] if x["state"] not in unfinished]
    return [run for run in runs if run["points"]]


def competitors(report: dict) -> list[tuple[str, dict]]:
    """Those of which there is something to show, by name."""
    return [(k, x) for k, x in report["competitors"].items() if done(x)]


def seconds_to(run: dict, output: str, mark: float) -> float:
    """Seconds of training until `output` first reaches `mark` percent at a
    scoring; infinity if it never does."""
    reached = [x["seconds"] for x in run["points"] if x[output] >= mark]
    return min(reached, default=math.inf)


def median_to(entry: dict, output: str, mark: float) -> float:
    """The median over the runs of a competitor."""
    return statistics.median(seconds_to(x, output, mark) for x in done(entry))


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


def _count(entry: dict) -> str:
    """Of the runs that went as far as they were meant to, and of others."""
    count = str(len(done(entry)))
    diverged = sum(run["state"] == "diverged" for run in entry["runs"])
    return f"{count} ({diverged} more diverged)" if diverged else count


def best_accuracy(entry: dict, output: str) -> float:
    """The highest accuracy at any scoring, the mean over the runs."""
    runs = [[point[output] for point in x["points"]] for x in done(entry)]
    return statistics.mean(map(max, runs))


def epoch_seconds(entry: dict) -> list[float]:
    """Seconds of each whole epoch of each run."""
    seconds: list[float] = []
    for run in done(entry):
        images = [0, *(point["images"] for point in run["points"])]
        clock = [0.0, *(point["seconds"] for point in run["points"])]
        ends = np.arange(0, images[-1] + 1, entry["images_in_an_epoch"])
        seconds += np.diff(np.interp(ends, images, clock)).tolist()
    return seconds


def images_per_second(entry: dict) -> float:
    """Without the first slice of each run, which traces, if it has more."""
    rates = []
    for run in done(entry):
        first, last = run["points"][0], run["points"][-1]
        if first is last:
            first = {"images": 0, "seconds": 0.0}
        seconds = last["seconds"] - first["seconds"]
        rates.append((last["images"] - first["images"]) / seconds)
    return statistics.median(rates)


def costs(report: dict) -> str:
    """A table of what each competitor is, and what its training costs."""
    header = [
        *("", "framework", "precision", "parameters", "epochs", "n"),
        *("training", "an epoch", "images/s", "peak memory"),
    ]
    rows = []
    for name, entry in competitors(report):
        runs, whole = done(entry), epoch_seconds(entry)
        ends = [run["points"][-1] for run in runs]
        images = statistics.median(end["images"] for end in ends)
        trained = f"{images / entry['images_in_an_epoch']:.3g}"
        if any(run["state"] != "finished" for run in runs):
            trained += f" of {entry['epochs']:g}"
        memory = statistics.median(run["peak_megabytes"] for run in runs)
        rows.append(
            [
                f"`{name}`",
                entry["framework"],
                entry["precision"],
                f"{entry['parameters']:,}",
                trained,
                _count(entry),
                duration(statistics.median(end["seconds"] for end in ends)),
                duration(statistics.median(whole)) if whole else "",
                f"{images_per_second(entry):,.0f}",
                f"{memory:,.0f} MB",
            ]
        )
    return table(header, rows)


def marks(report: dict) -> str:
    """A table of the best accuracies and of the seconds to each mark."""
    header = ["", "output", "best", "last", *(f"to {x:.1f} %" for x in MARKS)]
    rows = []
    for name, entry in competitors(report):
        for output in entry["outputs"]:
            last = [run["points"][-1][output] for run in done(entry)]
            rows.append(
                [
                    f"`{name}`" if output == "digit" else "",
                    output,
                    f"{best_accuracy(entry, output):.2f}",
                    f"{statistics.mean(last):.2f}",
                    *(_reached(entry, output, mark) for mark in MARKS),
                ]
            )
    return table(header, rows)


def conditions(report: dict) -> str:
    """When and on what: a sentence."""
    packages = report["packages"]
    commands: dict[tuple[str, str], list[str]] = {}
    for name, entry in competitors(report):
        key = entry["command"], entry["time"][:10]
        commands.setdefault(key, []).append(f"`{name}`")
    several = len(commands) > 1
    parts = [
        f"`{command}`, {day}" + f" ({', '.join(names)})" * several
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
    ours = [name for name, entry in entries.items() if entry["ours"]]
    lines = [
        f"- `{name}` diverged in all of its {len(entry['runs'])} runs."
        for name, entry in report["competitors"].items()
        if {run["state"] for run in entry["runs"]} == {"diverged"}
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
        mine = min(ours, key=lambda x: median_to(entries[x], "digit", MARKS[0]))
        here = median_to(entries[mine], "digit", MARKS[0])
        met = math.isfinite(here) and here <= digits[best]
        lines.append(
            f"- {MARKS[0]:.1f} % of digits: `{mine}` "
            f"{_reached(entries[mine], 'digit', MARKS[0])}; the soonest of "
            f"those that predict digits alone, `{best}`, "
            f"{_reached(entries[best], 'digit', MARKS[0])}. Aim: at least "
            f"level; {'met' if met else 'missed'}."
        )
    return lines


def _sum_aim(name: str, entries: dict, ours: list[str]) -> str:
    best, seconds, times = _to_its_best_sums(name, entries, ours)
    if best <= LEARNED_SUMS:
        return (
            f"- `{name}` learned no sums: its {best:.2f} % is what a constant "
            "answer has."
        )
    compared = ", ".join(
        f"`{x}` never"
        if math.isinf(t)
        else f"`{x}` in {duration(t)} ({_ratio(seconds / t)} times as fast)"
        for x, t in times.items()
    )
    met = seconds >= TIMES_FASTER * min(times.values())
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
    points = [x for run in done(entries[name]) for x in run["points"]]
    found = [(point["sum"], -point["seconds"]) for point in points]
    best, seconds = max(found)
    return best, -seconds, {x: median_to(entries[x], "sum", best) for x in ours}


def summary(report: dict) -> str:
    """A table with a row for each competitor."""
    entries = dict(competitors(report))
    ours = [name for name, entry in entries.items() if entry["ours"]]
    header = [
        *("", "framework", "n", "digits", "sums", "99.0 % of digits after"),
        *("99.6 % of digits after", "ours, to as many sums"),
    ]
    rows = []
    for name, entry in entries.items():
        sums = compared = ""
        if "sum" in entry["outputs"]:
            sums = f"{best_accuracy(entry, 'sum'):.2f}"
            best, seconds, times = _to_its_best_sums(name, entries, ours)
            soonest = min(times.values(), default=math.inf)
            if name not in ours and math.isinf(soonest):
                compared = "never"
            elif name not in ours and best > LEARNED_SUMS:
                compared = f"{_ratio(seconds / soonest)} times as fast"
        digits = f"{best_accuracy(entry, 'digit'):.2f}"
        after = [_reached(entry, "digit", mark) for mark in (99.0, 99.6)]
        row = [f"`{name}`", entry["framework"], _count(entry), digits, sums]
        rows.append([*row, *after, compared])
    return table(header, rows)


def _ratio(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 100 else f"{ratio:,.0f}"
