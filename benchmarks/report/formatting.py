"""How figures and tables are written in the pages."""

from typing import Any


def table(header: list[str], rows: list[list[Any]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def duration(seconds: float) -> str:
    """4.9 s, 67 s, 12 min."""
    if seconds >= 600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.{int(seconds < 10)}f} s"


def mean_std(found: list[float], n: int, digits: int) -> str:
    """A mean over `n` seeds, with the deviation, if there are several."""
    mean, std = found
    return f"{mean:.{digits}f}" + f" ± {std:.{digits}f}" * (n > 1)
