"""Measures what the pages claim: python -m benchmarks NAME [OPTION ...]"""

import ast
import importlib
import re
import sys
import types
from pathlib import Path

from benchmarks import harness
from keras_mnist_sum.commands import cli
from keras_mnist_sum.utils.quiet import import_tensorflow

_HEAVY = re.compile(
    r"^(?:import|from) (?:tensorflow|keras"
    r"|keras_mnist_sum\.(?:evaluation|formats\.export))\b",
    re.MULTILINE,
)


def programs() -> dict[str, Path]:
    """Every file with a function `main`, by its name."""
    return {
        path.stem: path
        for path in sorted(Path(__file__).parent.glob("*/*.py"))
        if "\ndef main(" in path.read_text()
    }


def overview() -> str:
    """A line for each program, by folder."""
    lines = [(__doc__ or "").splitlines()[0]]
    for name, path in programs().items():
        if f"\n{path.parent.name}:" not in lines:
            lines.append(f"\n{path.parent.name}:")
        doc = ast.get_docstring(ast.parse(path.read_text())) or ""
        lines.append(f"  {name:<15} {doc.splitlines()[0]}")
    lines.append("\npython -m benchmarks NAME --help has a program's options.")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Runs one program, and returns its exit code."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name in ("-h", "--help"):
        print(overview())
        return 0
    path = programs().get(name)
    if path is None:
        cli.ArgumentParser(prog="python -m benchmarks").error(
            f"NAME must be one of {', '.join(programs())}. Received: {name!r}"
        )

    def run() -> int | None:
        module = load(name)
        return module.main(harness.parse(module, rest))

    return cli.run(run)


def load(name: str) -> types.ModuleType:
    """Imports a program, and TensorFlow quietly before it, if it needs that.

    What needs none has small processes, whose memory can be told.
    """
    path = programs()[name]
    if _HEAVY.search(path.read_text()):
        import_tensorflow()
    return importlib.import_module(f"benchmarks.{path.parent.name}.{name}")


if __name__ == "__main__":
    sys.exit(main())
