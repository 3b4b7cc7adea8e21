"""What every benchmark shares: its command line, and its results in a file.

Results are written whole, with command, environment and time.
"""

import argparse
import functools
import json
import math
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_mnist_sum.commands import cli
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import atomic_files
from keras_mnist_sum.utils.quiet import import_tensorflow

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
# Of a report, not compared number by number.
_CIRCUMSTANCES = ("n", "seed", "config", "environment", "runs", "turns")


def make_parser(module: types.ModuleType) -> cli.ArgumentParser:
    """A parser of a program's options: `OPTIONS` in its module has their
    defaults, or kinds, and their help; `add_arguments(parser)` adds others."""
    parser = cli.ArgumentParser(
        prog=f"python -m benchmarks {module.__name__.rpartition('.')[2]}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, (value, text) in getattr(module, "OPTIONS", {}).items():
        how: dict[str, Any] = {"type": value}
        if value is bool:
            how = {"action": "store_true"}
        elif not isinstance(value, type):
            how = {"type": type(value), "default": value}
            text += f" (default: {value})"
        if how.get("type") in (int, float):
            how["type"] = functools.partial(_number, how["type"], value == 0)
            how["metavar"] = "N"
        parser.add_argument(f"--{name.replace('_', '-')}", help=text, **how)
    getattr(module, "add_arguments", lambda parser: None)(parser)
    return parser


def _number(kind: type, zero: bool, text: str) -> Any:
    try:
        value = kind(text)
        if 0 < value < math.inf or (zero and value == 0):
            return value
    except ValueError:
        pass
    least = "at least 0" if zero else "positive"
    raise argparse.ArgumentTypeError(
        f"must be a number, {least}. Received: {text!r}"
    )


def parse(module: types.ModuleType, arguments: list[str]) -> argparse.Namespace:
    """Parses the command line of a program.

    One that measures has `SMOKE`, options to try it with, and may have `FILE`,
    the name of its results, with options in braces; and `REST`, if what it does
    not know is for another program.

    Returns:
        The options; of one that measures, also `report`, to be completed;
        `before`, what is there; and `path`, what to write, if anything.

    Raises:
        InputError: If what is there was measured more often.
    """
    parser = make_parser(module)
    if not hasattr(module, "SMOKE"):
        return parser.parse_args(arguments)
    # Where results go is no part of what is measured.
    place = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    place.add_argument("--out", type=cli.path, metavar="FILE")
    place.add_argument("--compare", type=cli.path, metavar="FILE")
    place.add_argument("--smoke", action="store_true")
    values, others = place.parse_known_args(arguments)
    if values.smoke:
        parser.set_defaults(**module.SMOKE)
    parser.epilog = (
        "--out FILE says what to write, --compare FILE what to show beside. "
        "--smoke tries the program, with the least of all, and writes nothing."
    )
    _, values.rest = parser.parse_known_args(others, values)
    if values.rest and not hasattr(module, "REST"):
        parser.error(f"unrecognized arguments: {' '.join(values.rest)}")
    command = " ".join([parser.prog, *map(cli.quote, others)])
    values.report, values.before = {"command": command}, None
    for name in ("rounds", "count", "seeds"):  # how much is measured
        if n := vars(values).get(name):
            values.report["n"] = n
    if values.compare:
        values.compare = read(values.compare)
    file = getattr(module, "FILE", parser.prog.split()[-1])
    usual = RESULTS / f"{file.format(**vars(values))}.json"
    values.path = values.out or (None if values.smoke else usual)
    if values.path:
        atomic_files.check_file(values.path)
        if values.path.exists():
            values.before = read(values.path)
            n, there = values.report.get("n", math.inf), values.before.get("n")
            replaces = not getattr(values, "check", False)
            if replaces and isinstance(there, int) and there > n:
                raise InputError(
                    "Results of more are not replaced: name another file by "
                    f"--out. Received: n = {n}, where {str(values.path)!r} has "
                    f"{there}"
                )
    return values


def runs_before(values: argparse.Namespace, **recipe: Any) -> list[dict]:
    """The runs that are there, which others are added to.

    Args:
        values: What `parse` returned.
        recipe: What the report must have, by name.

    Raises:
        InputError: If it has something else.
    """
    before = values.before or {"runs": [], **recipe}
    for name, value in recipe.items():
        if before.get(name) != value:
            raise InputError(
                "Runs of another recipe are not added to: name another file by "
                f"--out. Received: {name}={value!r}, where "
                f"{str(values.path)!r} has {before.get(name)!r}"
            )
    return before["runs"]


def save(
    values: argparse.Namespace, found: dict[str, Any], show: bool = True
) -> None:
    """Writes what was found, with command and environment, and prints it.

    Args:
        values: What `parse` returned.
        found: By name.
        show: Whether this is all.
    """
    report = values.report | found
    if "environment" not in report:
        import_tensorflow()
        from keras_mnist_sum.utils import environment

        report["environment"] = environment.facts()
    if values.path:
        atomic_files.write_text(values.path, to_json(report))
    if show:
        print("\n".join(beside(report, values.compare or values.before)))


def read(path: Path) -> dict[str, Any]:
    """Reads results.

    Raises:
        InputError: If it is no file of results.
    """
    text = atomic_files.read_text(path)
    try:
        report = json.loads(text)
    except (ValueError, RecursionError):
        report = None
    if not isinstance(report, dict):
        raise InputError(
            "This must be a JSON file that a benchmark wrote. "
            f"Received: {str(path)!r}"
        )
    return report


def to_json(report: dict[str, Any]) -> str:
    """JSON text; what is short and holds no more of its kind is in a line."""

    def in_a_line(match: re.Match) -> str:
        line = re.sub(r"\n\s*", " ", match[0])
        line = f"{line[0]}{line[1:-1].strip()}{line[-1]}"
        return line if len(line) <= 120 else match[0]

    text = json.dumps(report, indent=2)
    return re.sub(r"[\[{][^\[\]{}]*[\]}]", in_a_line, text) + "\n"


def beside(report: dict, before: dict | None = None) -> list[str]:
    """Lines of a table: every number of a report, and what it was before."""
    found, old = dict(_numbers(report)), dict(_numbers(before or {}))
    width = max(map(len, found), default=0)
    lines = []
    for name, value in found.items():
        line = f"{name:<{width}}  {value:>12,.7g}"
        if name in old:
            line += f"   stored {old[name]:>12,.7g}"
            if old[name]:
                line += f"  {100 * (value / old[name] - 1):+.1f} %"
        lines.append(line)
    return lines


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in _CIRCUMSTANCES:
                yield from _numbers(part, f"{name} / {key}" if name else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for row in value:  # It begins with its name.
            yield from _numbers(row, f"{name} {next(iter(row.values()))}")
    elif isinstance(value, list) and name.startswith(("mean_std", "summary")):
        yield name, value[0]
        yield f"{name}, deviation", value[1]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def python(*arguments: object, **how: Any) -> str:
    """What Python prints, called from the repository's folder."""
    command = [sys.executable, *map(str, arguments)]
    how = {"cwd": ROOT, "stdout": subprocess.PIPE, "text": True, **how}
    return subprocess.run(command, check=True, **how).stdout
