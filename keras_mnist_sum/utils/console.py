"""The package's log lines on the screen, as a person reads them."""

import contextlib
import logging
import sys
from collections.abc import Iterator

from keras_mnist_sum.errors import InputError

LOGGER = logging.getLogger("keras_mnist_sum")


@contextlib.contextmanager
def setup_logging(verbose: int = 1) -> Iterator[None]:
    """Prints what the package logs while the block runs.

    A line of level INFO is printed as it is, one of WARNING and above behind
    `WARNING: `. Each is flushed. In a block within a block, the inner one
    decides. At the end the logger is as it was before.

    Args:
        verbose: 1 or 2 prints everything, on standard output; 0 only warnings,
            on standard error.

    Raises:
        InputError: If `verbose` is another value.
    """
    if verbose not in (0, 1, 2):
        raise InputError(
            f"`verbose` must be 0, 1 or 2. Received: verbose={verbose!r}"
        )
    handlers, level, propagate = (
        LOGGER.handlers,
        LOGGER.level,
        LOGGER.propagate,
    )
    others = [x for x in handlers if not isinstance(x, _Console)]
    LOGGER.handlers = [*others, _Console(verbose)]
    LOGGER.setLevel(logging.INFO if verbose else logging.WARNING)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.handlers, LOGGER.propagate = handlers, propagate
        LOGGER.setLevel(level)


class _Console(logging.Handler):
    def __init__(self, verbose: int) -> None:
        super().__init__()
        self._verbose = verbose

    def emit(self, record: logging.LogRecord) -> None:
        # A stream that fails raises here, as it does for `print`.
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"WARNING: {text}"
        quiet = record.levelno >= logging.WARNING and not self._verbose
        stream = sys.stderr if quiet else sys.stdout
        if stream is None:  # It is closed.
            return
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:  # It may hold the name of any file.
            known = text.encode(stream.encoding, errors="backslashreplace")
            print(known.decode(stream.encoding), file=stream, flush=True)
