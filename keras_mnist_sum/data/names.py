"""What the names of files and arrays say of what is in them."""

import re
from pathlib import Path

_PART = re.compile(r"(?<![a-z])[xy]?(train|test|t10k)")
_KINDS = {"images": r"(?<![a-z])x|image|pixel", "labels": r"(?<![a-z])y|label"}


def part_of(path: Path) -> str:
    """Which set a name, or else one of the folders around it, speaks of.

    Returns:
        `"train"`, `"test"` or, if none says so, an empty string.
    """
    for name in reversed(path.parts):
        found = {x.replace("t10k", "test") for x in _PART.findall(_words(name))}
        if len(found) == 1:
            return found.pop()
    return ""


def kind_of(name: str) -> str:
    """Whether a name speaks of `"images"` or `"labels"`, else an empty
    string."""
    words = _words(name)
    found = [kind for kind, sign in _KINDS.items() if re.search(sign, words)]
    return found[0] if len(found) == 1 else ""


def _words(name: str) -> str:
    return re.sub("([a-z0-9])([A-Z])", r"\1_\2", name).lower()
