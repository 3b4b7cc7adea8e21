"""Reports, charts and pictures, drawn by Matplotlib."""

import contextlib
import logging
import os
from collections.abc import Iterator

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import extras
from keras_mnist_sum.utils.quiet import without_matplotlib_backend

# Without a home that can be written to, it would advise on standard error.
_logger = logging.getLogger("matplotlib")
_level = _logger.level
_logger.setLevel(logging.ERROR)
try:
    with without_matplotlib_backend(), extras.needed("Drawing"):
        import matplotlib.font_manager
except OSError as error:
    raise InputError(
        "Matplotlib needs a folder for its files: set MPLCONFIGDIR or TMPDIR "
        "to one that can be written to. Received: "
        f"MPLCONFIGDIR={os.environ.get('MPLCONFIGDIR')!r}"
    ) from error
finally:
    _logger.setLevel(_level)


@contextlib.contextmanager
def default_style() -> Iterator[None]:
    """Matplotlib as it is by itself, whatever the user's settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield
