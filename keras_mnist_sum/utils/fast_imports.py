"""Imports of large packages that take no longer than they must."""

import contextlib
import gc
import sys
from collections.abc import Iterable
from collections.abc import Iterator

# Whether this process is a command, in which nobody else's code runs.
is_command = False


@contextlib.contextmanager
def without(names: Iterable[str]) -> Iterator[None]:
    """Has modules be missing in the block, as if nobody had installed them.

    What is imported there goes on without them. Afterwards they can be
    imported; those that were before stay as they are.

    Args:
        names: The modules, such as `"pandas"` or `"matplotlib.pyplot"`.
    """
    hidden = set(names) - set(sys.modules)
    for name in hidden:
        # https://docs.python.org/3/reference/import.html#the-module-cache
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def without_collection(for_good: bool = False) -> Iterator[None]:
    """Does not look for garbage in the block: a module leaves none, and makes
    so many objects that Python would look through them again and again.

    Args:
        for_good: Whether what is there at the end is never looked through.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if for_good:
            gc.freeze()
        if was_enabled:
            gc.enable()
