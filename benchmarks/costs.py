"""Tables of `docs/cost.md` and `docs/reliability.md`, for `tables.py`.

Each takes what a benchmark wrote to `benchmarks/results/`, and returns the
header and the rows of a table.
"""

import functools
from collections.abc import Callable

_Table = tuple[list[str], list[list[str]]]


def computing(report: dict) -> _Table:
    """How much of the machine's arithmetic a training step uses."""
    rows = [
        [
            name,
            f"{found['milliseconds']:.1f} ms",
            f"{found['gigaflops']:,.0f} GFLOP/s",
            f"{100 * found['share_of_product']:.0f} %",
        ]
        for name, found in report["kinds"].items()
    ]
    return ["", "time", "rate", "of the product"], rows


def profile(report: dict) -> _Table:
    """Where the time of a training step goes."""
    parts = report["percent_of_a_step"]
    kinds = list(next(iter(parts.values())))
    rows = [
        [precision, *(f"{shares[kind]:.0f} %" for kind in kinds)]
        for precision, shares in parts.items()
    ]
    return ["", *kinds], rows


def waiting(report: dict) -> _Table:
    """What input costs a training step."""
    header = [
        *("", "pipeline alone", "training", "ratio"),
        *("a step waits", "input costs", "a step"),
    ]
    rows = [
        [
            f"`{name}`",
            f"{found['pipeline_images_per_second']:,} images/s",
            f"{found['fit_images_per_second']:,} images/s",
            f"{found['ratio']:.0f}",
            _spread(found, "waiting_percent", 2),
            _spread(found, "cost_percent", 1),
            f"{found['milliseconds_of_a_step']:.1f} ms",
        ]
        for name, found in report["presets"].items()
    ]
    return header, rows


def _spread(found: dict, name: str, digits: int) -> str:
    """A median, with the least and the most of the rounds."""
    rounds = found[f"{name}_of_rounds"]
    least, most = (f"{x:.{digits}f}" for x in (min(rounds), max(rounds)))
    return f"{found[name]:.{digits}f} % ({least} to {most})"


def starting(report: dict) -> _Table:
    """Seconds from a command to what it is for."""
    rows = []
    for name, seconds in report["seconds"].items():
        least, most = report["least_and_most"][name]
        command, comma, rest = name.partition(", ")
        if command.startswith(("python ", "import ")):
            command = f"`{command}`"
        rows.append(
            [
                f"{command}{comma}{rest}",
                f"{seconds:.2f} s",
                f"{least:.2f}-{most:.2f} s",
            ]
        )
    return ["", "median", "range"], rows


def growing(name: str, label: str, report: dict) -> _Table:
    """Time and memory of training over one size."""
    rows, first = [], report[name][0]
    epochs = "seconds_of_an_epoch" in first
    for row in report[name]:
        cells = [
            f"{row[name]:,}",
            f"{row['milliseconds_of_a_step']:.1f} ms",
            f"{row['images_per_second']:,}",
            f"{row['megabytes']['training']:,} MB",
            str(row["n"]),
        ]
        if name == "width":
            cells.insert(1, f"{row['parameters']:,}")
        if epochs:
            cells.insert(1, f"{row['seconds_of_an_epoch']:.1f} s")
        rows.append(cells)
    header = [label, "a step", "images/s", "peak memory", "n"]
    if name == "width":
        header.insert(1, "parameters")
    if epochs:
        header.insert(1, "an epoch")
    return header, rows


def memory(report: dict) -> _Table:
    """Where the default run's memory goes, by when it was first needed."""
    [default] = [row for row in report["width"] if row["width"] == 32]
    stages = {
        "Python, TensorFlow and Keras": default["megabytes"]["TensorFlow"],
        "and MNIST": default["megabytes"]["images"],
        "and the model and its optimizer": default["megabytes"]["model"],
        "and training": default["megabytes"]["training"],
        "a whole run of `train.py`": report["megabytes_of_the_default_run"],
    }
    rows = [[name, f"{value:,} MB"] for name, value in stages.items()]
    return ["after", "most memory so far"], rows


def overheads(report: dict) -> _Table:
    """What a step takes with deterministic operations, and checkpoints."""
    rows = []
    for name, found in report["kinds"].items():
        if name == "checkpoints":
            size = report["megabytes_of_a_checkpoint"]
            name = f"a checkpoint ({size} MB) in {report['steps']} steps"
        ratios = found["ratio_of_rounds"]
        rows.append(
            [
                name,
                f"{found['milliseconds_of_a_step']:.1f} ms",
                f"{found['ratio']:.3f} "
                f"({min(ratios):.3f} to {max(ratios):.3f})",
            ]
        )
    return ["", "a step", "ratio"], rows


def circumstances(report: dict) -> str:
    """On what the figures were measured, in a sentence."""
    facts = report["environment"]
    packages = facts["packages"]
    return (
        f"`{report['command']}`: {facts['processor']}, {facts['device']}, "
        f"Python {facts['python']}, TensorFlow {packages['tensorflow']}, Keras "
        f"{packages['keras']}"
        + (f"; n = {report['n']}" if "n" in report else "")
    )


# Name of a table: the results that it shows, and how.
TABLES: dict[str, tuple[str, Callable[[dict], _Table]]] = {
    "computing": ("throughput", computing),
    "profile": ("throughput", profile),
    "waiting": ("pipeline", waiting),
    "starting": ("startup", starting),
    "overheads": ("overheads", overheads),
    "width": ("growth", functools.partial(growing, "width", "width")),
    "batch_size": (
        "growth",
        functools.partial(growing, "batch_size", "batch size"),
    ),
    "images": ("growth", functools.partial(growing, "images", "images")),
    "memory": ("growth", memory),
}
