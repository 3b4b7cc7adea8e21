"""What `peers` measured: tables, of its JSON alone."""

import itertools
import math
import statistics
from collections.abc import Iterable

import numpy as np

from benchmarks.report.formatting import duration
from benchmarks.report.formatting import table

MARKS = (99.0, 99.5, 99.6)
LEARNED = 20.0  # percent of the digits; a constant answer has 11.35 at most


def make(report: dict, parts: Iterable[str]) -> str:
    """Parts of the page, by name."""
    makers = (conditions, summary, marks, costs, starts)
    by_name = {maker.__name__: maker for maker in makers}
    return "\n\n".join(by_name[part](report) for part in parts)


def competitors(report: dict) -> list[tuple[str, dict]]:
    """Those of which there is something to show, by name: of their `runs` those
    that went to their end, and how many, as `n`. Not those that only start."""
    found = []
    for name, entry in report["competitors"].items():
        if entry["turns"]:
            continue
        runs = [x for x in entry["runs"] if x["state"] == "finished"]
        diverged = sum(x["state"] == "diverged" for x in entry["runs"])
        n = str(len(runs)) + f" ({diverged} more diverged)" * bool(diverged)
        if runs:
            found.append((name, entry | {"runs": runs, "n": n}))
    return found


def seconds_to(entry: dict, output: str, mark: float) -> list[float]:
    """Of each run, seconds of training until `output` first reaches `mark`
    percent at a scoring; infinity if it never does."""
    return [
        min(
            (x["seconds"] for x in run["points"] if x[output] >= mark),
            default=math.inf,
        )
        for run in entry["runs"]
    ]


def _reached(entry: dict, output: str, mark: float) -> str:
    times = seconds_to(entry, output, mark)
    reached, median = sum(map(math.isfinite, times)), statistics.median(times)
    if not reached:
        return "never"
    share = f"{reached} of {len(times)}"
    if math.isinf(median):
        return share
    return duration(median) + f" ({share})" * (reached < len(times))


def best_accuracy(entry: dict, output: str) -> float:
    """The highest accuracy at any scoring, the mean over the runs."""
    runs = [[point[output] for point in x["points"]] for x in entry["runs"]]
    return statistics.mean(map(max, runs))


def epoch_seconds(entry: dict) -> list[float]:
    """Seconds of each whole epoch of each run."""
    seconds: list[float] = []
    for run in entry["runs"]:
        images = [0, *(point["images"] for point in run["points"])]
        clock = [0.0, *(point["seconds"] for point in run["points"])]
        ends = np.arange(0, images[-1] + 1, entry["images_in_an_epoch"])
        seconds += np.diff(np.interp(ends, images, clock)).tolist()
    return seconds


def images_per_second(entry: dict) -> float:
    """Without the first slice of each run, which traces."""
    rates = []
    for run in entry["runs"]:
        if len(run["points"]) < 2:  # It diverged at once.
            continue
        first, last = run["points"][0], run["points"][-1]
        seconds = last["seconds"] - first["seconds"]
        rates.append((last["images"] - first["images"]) / seconds)
    return statistics.median(rates) if rates else math.nan


def cores_at_work(entry: dict) -> str:
    """Seconds of the processor to a second of training: the median of all turns
    but the first, and the least, in which something else may have run."""
    shares = []
    for run in entry["runs"]:
        for before, point in itertools.pairwise(run["points"]):
            seconds = point["seconds"] - before["seconds"]
            cores = point["core_seconds"] - before["core_seconds"]
            shares.append(cores / seconds)
    return f"{statistics.median(shares):.2f} (at least {min(shares):.2f})"


def costs(report: dict) -> str:
    """A table of what each competitor is, and what its training costs."""
    header = [
        *("", "framework", "precision", "parameters", "epochs", "n"),
        *("training", "an epoch", "images/s", "cores at work", "peak memory"),
    ]
    rows = []
    for name, entry in competitors(report):
        runs, whole = entry["runs"], epoch_seconds(entry)
        ends = [run["points"][-1] for run in runs]
        images = statistics.median(end["images"] for end in ends)
        trained = f"{images / entry['images_in_an_epoch']:.3g}"
        memory = statistics.median(run["peak_megabytes"] for run in runs)
        rows.append(
            [
                *(f"`{name}`", entry["framework"], entry["precision"]),
                *(f"{entry['parameters']:,}", trained, entry["n"]),
                duration(statistics.median(end["seconds"] for end in ends)),
                duration(statistics.median(whole)) if whole else "",
                f"{images_per_second(entry):,.0f}",
                cores_at_work(entry),
                f"{memory:,.0f} MB",
            ]
        )
    return table(header, rows)


def starts(report: dict) -> str:
    """A table of those that only start: what becomes of their runs."""
    header = [
        *("", "framework", "precision", "parameters", "epochs"),
        *("starts", "diverged", "learned", "images/s"),
    ]
    rows = []
    for name, entry in report["competitors"].items():
        runs = [
            x for x in entry["runs"] if x["state"] in ("finished", "diverged")
        ]
        if not (entry["turns"] and runs):
            continue
        done = [x["points"][-1] for x in runs if x["state"] == "finished"]
        images = max(x["points"][-1]["images"] for x in runs)
        rows.append(
            [
                *(f"`{name}`", entry["framework"], entry["precision"]),
                f"{entry['parameters']:,}",
                f"{images / entry['images_in_an_epoch']:.3g}"
                f" of {entry['epochs']:g}",
                *(f"{len(runs)}", f"{len(runs) - len(done)}"),
                f"{sum(x['digit'] > LEARNED for x in done)}",
                f"{images_per_second(entry | {'runs': runs}):,.0f}",
            ]
        )
    return table(header, rows)


def marks(report: dict) -> str:
    """A table of the best accuracies and of the seconds to each mark."""
    header = ["", "output", "best", "last", *(f"to {x:.1f} %" for x in MARKS)]
    rows = []
    for name, entry in competitors(report):
        for output in entry["outputs"]:
            last = [run["points"][-1][output] for run in entry["runs"]]
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
    commands = dict.fromkeys(
        f"`{entry['command']}`, {entry['time'][:10]}"
        for _, entry in competitors(report)
    )
    return (
        f"{'; '.join(commands)}: {report['processor']}, {report['cores']} "
        f"cores, TensorFlow {packages['tensorflow']}, Keras "
        f"{packages['keras']}, PyTorch {packages['torch']}, Python "
        f"{report['python']}; {report['data']}."
    )


def summary(report: dict) -> str:
    """A table with a row for each competitor."""
    entries = competitors(report)
    ours = [entry for _, entry in entries if entry["ours"]]
    header = [
        *("", "framework", "n", "digits", "sums", "99.0 % of digits after"),
        *("99.6 % of digits after", "ours, to as many sums"),
    ]
    rows = []
    for name, entry in entries:
        sums = compared = ""
        if "sum" in entry["outputs"]:
            sums = f"{best_accuracy(entry, 'sum'):.2f}"
            compared = "" if entry["ours"] else _compared(entry, ours)
        digits = f"{best_accuracy(entry, 'digit'):.2f}"
        after = [_reached(entry, "digit", mark) for mark in (99.0, 99.6)]
        row = [f"`{name}`", entry["framework"], entry["n"], digits, sums]
        rows.append([*row, *after, compared])
    return table(header, rows)


def _compared(peer: dict, ours: list[dict]) -> str:
    """How much sooner the soonest of ours has the best sums of a peer."""
    best = max(x["sum"] for run in peer["runs"] for x in run["points"])
    medians = (statistics.median(seconds_to(x, "sum", best)) for x in ours)
    soonest = min(medians, default=math.inf)
    if math.isinf(soonest):
        return "never"
    ratio = min(seconds_to(peer, "sum", best)) / soonest
    return f"{ratio:,.{int(ratio < 100)}f} times as fast"
