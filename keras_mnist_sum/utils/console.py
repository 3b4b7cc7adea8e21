"""What a person sees: log lines, and on a terminal a line that is redrawn."""

import contextlib
import logging
import shutil
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import TextIO

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.utils.settings import plain

LOGGER = logging.getLogger("keras_mnist_sum")
REFRESH = 0.2  # seconds
_BAR = 20  # characters

# Where a line is drawn that is to be erased, and its characters.
_drawn: tuple[TextIO, int] | None = None


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
    number = plain(verbose)
    if not isinstance(number, int) or number not in (0, 1, 2):
        raise InputError(
            f"`verbose` must be 0, 1 or 2. Received: verbose={shown(verbose)}"
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
        erase()  # Whatever failed is said on a line of its own.
        LOGGER.handlers, LOGGER.propagate = handlers, propagate
        LOGGER.setLevel(level)


class _Console(logging.Handler):
    def __init__(self, verbose: int) -> None:
        super().__init__()
        self.verbose = verbose

    def emit(self, record: logging.LogRecord) -> None:
        # A stream that fails raises here, as it does for `print`.
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"WARNING: {text}"
        quiet = record.levelno >= logging.WARNING and not self.verbose
        stream = sys.stderr if quiet else sys.stdout
        if stream is None:  # It is closed.
            return
        erase()
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:  # It may hold the name of any file.
            known = text.encode(stream.encoding, errors="backslashreplace")
            print(known.decode(stream.encoding), file=stream, flush=True)


def draw(text: str, stream: TextIO) -> None:
    """Shows a line on a terminal, in place of the one that is drawn.

    It is cut to the terminal's width: what is wrapped cannot be redrawn. A log
    line erases it.
    """
    global _drawn
    text = text[: columns() - 1]
    before = _drawn[1] if _drawn and _drawn[0] is stream else 0
    stream.write(f"\r{text:<{before}}")
    stream.flush()
    _drawn = stream, len(text)


def erase() -> None:
    """Erases the line that is drawn, if there is one."""
    global _drawn
    if _drawn:
        stream, length = _drawn
        _drawn = None
        with contextlib.suppress(OSError, ValueError):  # It is closed.
            stream.write(f"\r{'':{length}}\r")
            stream.flush()


def columns() -> int:
    """How wide the terminal is, in characters."""
    return shutil.get_terminal_size().columns


@contextlib.contextmanager
def waiting(text: str, stream: TextIO | None = None) -> Iterator[None]:
    """Says on a terminal what a block takes its time for, while it runs.

    Args:
        text: What that is.
        stream: Where. Default: standard output, if `shows_progress`.
    """
    if stream is None and shows_progress():
        stream = sys.stdout
    if stream and stream.isatty():
        draw(f"{text} ...", stream)
    try:
        yield
    finally:
        erase()


@contextlib.contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yields what is told how many of `total` are done, and draws a bar.

    It is drawn if `shows_progress`, and erased at the end.
    """
    shown, drawn = shows_progress(), time.monotonic()

    def done(count: int) -> None:
        nonlocal drawn
        if shown and time.monotonic() - drawn >= REFRESH:
            drawn = time.monotonic()
            marks = bar(count / total, _BAR)
            draw(f"{what} {marks} {count:,}/{total:,}", sys.stdout)

    try:
        yield done
    finally:
        if shown:
            erase()


def shows_progress() -> bool:
    """Whether a bar on standard output is wanted, and seen on a terminal."""
    wanted = LOGGER.isEnabledFor(logging.INFO) and any(
        isinstance(x, _Console) and x.verbose == 1 for x in LOGGER.handlers
    )
    return wanted and sys.stdout is not None and sys.stdout.isatty()


def bar(share: float, width: int) -> str:
    """A bar of `width` characters, filled to a share, 0-1."""
    return f"{'━' * round(width * share):<{width}}"


def duration(seconds: float) -> str:
    """75 s, 12 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
