"""What every benchmark shares: its command line, and its results in a file.

Results are written whole, with command, environment and time, and are not
replaced by those of another config or of fewer runs.
"""

import argparse
import functools
import json
import math
import re
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
# Options that say how much is measured, and how, but not what.
_HOW_MUCH = ("rounds", "count", "seeds")
_HOW = (*_HOW_MUCH, "out", "compare", "smoke", "rest")
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
        flag = f"--{name.replace('_', '-')}"
        if value is bool:
            parser.add_argument(flag, action="store_true", help=text)
            continue
        kind, default = type(value), value
        if isinstance(value, type):
            kind, default = value, None
        else:
            text += f" (default: {value})"
        reader = functools.partial(_number, kind, value == 0)
        if kind not in (int, float):
            reader = cli.path if kind is Path else kind
        metavar = {int: "N", float: "X", Path: "PATH"}.get(kind, "NAME")
        parser.add_argument(
            flag, type=reader, default=default, metavar=metavar, help=text
        )
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
    the name of its results, with options in braces; `differences(values)`, in
    what results that are there differ from those to be measured; and `REST`,
    if what it does not know is for another program.

    Returns:
        The options; of one that measures, also `report`, to be completed;
        `before`, what is there; and `path`, what to write, if anything.
    """
    parser = make_parser(module)
    smoke = getattr(module, "SMOKE", None)
    if smoke is None:
        return parser.parse_args(arguments)
    add = parser.add_argument
    add("--out", type=cli.path, metavar="FILE", help="what to write")
    add("--compare", type=cli.path, metavar="FILE", help="what to show beside")
    text = "try the program, with the least of all; writes nothing but --out"
    add("--smoke", action="store_true", help=text)
    values = parser.parse_known_args(arguments)[0]
    usual = {name: parser.get_default(name) for name in vars(values)}
    if values.smoke:
        parser.set_defaults(**smoke)
    values, values.rest = parser.parse_known_args(arguments)
    if values.rest and not hasattr(module, "REST"):
        parser.error(f"unrecognized arguments: {' '.join(values.rest)}")
    words, given = [parser.prog], dict(vars(values))
    for name, value in given.items():
        # A switch has something else done.
        if name not in _HOW and value is not True and value != usual[name]:
            text = f"{value:g}" if isinstance(value, float) else str(value)
            words += [f"--{name.replace('_', '-')}", cli.quote(text)]
    values.report = {"command": " ".join(words)}
    for name in _HOW_MUCH:
        if given.get(name):
            values.report["n"] = given[name]
    file = getattr(module, "FILE", parser.prog.split()[-1]).format(**given)
    values.path = values.out or RESULTS / f"{file}.json"
    if values.compare:
        values.compare = read(values.compare)
    values.before = None
    if values.smoke and not values.out:
        values.path = None
        return values
    atomic_files.check_file(values.path)
    if values.path.exists():
        values.before = read(values.path)
        differences = getattr(module, "differences", _differences)
        refuse(values.path, differences(values))
    return values


def refuse(path: Path | None, others: list[str]) -> None:
    """Refuses to replace results, if they differ from those to be measured.

    Args:
        path: Where they are.
        others: In what they differ.

    Raises:
        InputError: If there is something.
    """
    if others:
        raise InputError(
            "Results of other runs are not replaced: name another file by "
            f"--out. Received: {str(path)!r}, {', '.join(others)}"
        )


def _differences(values: argparse.Namespace) -> list[str]:
    before = values.before
    command, mine = before.get("command"), values.report["command"]
    others = [] if command == mine else [f"of {command!r}, not of {mine!r}"]
    return others + fewer(before, values.report.get("n"))


def fewer(before: dict, n: int | None) -> list[str]:
    """Why a measurement of `n` is less than what was measured, if it is."""
    there = before.get("n")
    if n is None or not isinstance(there, int) or there <= n:
        return []
    return [f"with n = {there}, not {n}"]


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


def check_keys(report: dict[str, Any], *keys: str) -> None:
    """Refuses results of another program, which lack some keys."""
    if missing := [key for key in keys if key not in report]:
        raise InputError(
            "This must be a file of results of this program. Received: one of "
            f"{report.get('command')!r}, without {missing[0]}"
        )


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
