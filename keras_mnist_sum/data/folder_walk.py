"""All files in a folder, found within limits.

Who names `/` or a home folder by mistake is told so in no time.
"""

import os
from pathlib import Path

from keras_mnist_sum.data.examples import MOST_EXAMPLES
from keras_mnist_sum.errors import InputError

_MOST_FILES = 2 * MOST_EXAMPLES
_MOST_FOLDERS = 1_000
_DEEPEST = 6  # folders within folders


def files_in(folder: Path) -> list[Path]:
    """Finds the files in a folder and in those within it, by links, too.

    Hidden ones are left out, as is what lies more than six folders deep.

    Args:
        folder: The folder.

    Returns:
        Paths relative to it, in a fixed order.

    Raises:
        InputError: If there are too many.
    """
    found: list[Path] = []
    # By folder, what it is and what those around it are: a link may lead back.
    chains = {os.fspath(folder): [_identity(folder)]}
    count = 0
    for name, folders, files in os.walk(folder, followlinks=True):
        chain = chains.pop(name)
        here = Path(name).relative_to(folder)
        # Others are hidden, or what macOS packs beside files.
        inside = sorted(x for x in folders if not x.startswith((".", "__")))
        folders.clear()
        if len(chain) <= _DEEPEST:
            for each in inside:
                path = os.path.join(name, each)
                identity = _identity(path)
                if identity not in chain:
                    folders.append(each)
                    chains[path] = [*chain, identity]
        found += (here / x for x in sorted(files) if not x.startswith("."))
        count += len(folders)
        if count > _MOST_FOLDERS or len(found) > _MOST_FILES:
            raise InputError(
                f"A folder of MNIST must hold at most {_MOST_FILES:,} files "
                f"and {_MOST_FOLDERS:,} folders: name the one that is meant. "
                f"Received: {os.fspath(folder)!r} with more"
            )
    return found


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:  # It is gone, or nobody may look at it.
        return None
    return found.st_dev, found.st_ino
