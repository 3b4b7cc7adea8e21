import contextlib
import io
import logging
import sys

import pytest

from keras_mnist_sum.errors import InputError
from keras_mnist_sum.utils import console
from keras_mnist_sum.utils.console import LOGGER
from keras_mnist_sum.utils.console import setup_logging

MODULE = logging.getLogger("keras_mnist_sum.data.sources")


def say(logger=MODULE):
    logger.info("data   read")
    logger.warning("only a sample")


@pytest.mark.parametrize(
    "verbose, out, err",
    [
        (1, "data   read\nWARNING: only a sample\n", ""),
        (2, "data   read\nWARNING: only a sample\n", ""),
        (0, "", "WARNING: only a sample\n"),
    ],
)
def test_prints_what_is_logged(capsys, caplog, verbose, out, err):
    with setup_logging(verbose):
        say()
        assert capsys.readouterr() == (out, err)
    assert not caplog.records


def test_inner_setup_replaces_the_outer_one(capsys):
    with setup_logging(1):
        with setup_logging(0):
            say()
        assert capsys.readouterr() == ("", "WARNING: only a sample\n")
        with setup_logging(1):
            say()
        assert capsys.readouterr().out.count("data") == 1


def test_logger_is_afterwards_what_it_was_before(capsys):
    handler = logging.NullHandler()
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.ERROR)
    try:
        with pytest.raises(ZeroDivisionError), setup_logging(1):
            say()
            raise ZeroDivisionError
        assert LOGGER.handlers == [handler] and LOGGER.propagate
        assert LOGGER.level == logging.ERROR
        capsys.readouterr()
        say()
        assert capsys.readouterr() == ("", "")
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(logging.NOTSET)


def test_handlers_of_the_user_go_on(caplog):
    LOGGER.addHandler(caplog.handler)
    try:
        with setup_logging(1):
            say()
    finally:
        LOGGER.removeHandler(caplog.handler)
    assert [record.levelname for record in caplog.records] == [
        "INFO",
        "WARNING",
    ]


def test_stream_that_fails_raises(monkeypatch):
    """So that a command ends where nobody reads its output any more."""

    class Closed:
        def write(self, text):
            raise BrokenPipeError

        flush = write

    with setup_logging(1), pytest.raises(BrokenPipeError):
        monkeypatch.setattr("sys.stdout", Closed())
        say()


@pytest.mark.parametrize("verbose", [-1, 3, None, "1"])
def test_rejects_other_levels(verbose):
    with (
        pytest.raises(InputError, match="Received: verbose="),
        setup_logging(verbose),
    ):
        pass


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_closed_stream_is_no_reason_to_fail(monkeypatch, capsys, stream):
    monkeypatch.setattr(sys, stream, None)
    with setup_logging(verbose=int(stream == "stdout")):
        LOGGER.warning("Nobody hears this.")
    assert capsys.readouterr() == ("", "")


def test_name_that_is_no_text_is_shown_escaped(monkeypatch):
    shown = io.BytesIO()
    stream = io.TextIOWrapper(shown, encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    with setup_logging():
        LOGGER.info("written  runs/\udcff")
    assert shown.getvalue() == b"written  runs/\\udcff\n"


def terminal(monkeypatch):
    """Standard output, from now on, as a terminal of 30 columns."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(console, "REFRESH", 0)
    return stream


def screen(stream):
    """What a terminal shows in the end."""
    lines = []
    for line in stream.getvalue().split("\n"):
        shown = ""
        for part in line.split("\r"):
            assert len(part) < 30
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return "\n".join(lines)


def test_bar_is_drawn_over_itself_and_erased(monkeypatch):
    stream = terminal(monkeypatch)
    with setup_logging(), console.counting("scoring", 4_000) as done:
        for count in (1_000, 2_000, 4_000):
            done(count)
            assert screen(stream).startswith("scoring ━━━━━")
    assert stream.getvalue().count("━") == 5 + 10 + 20
    assert screen(stream) == ""


def test_log_line_and_error_are_not_written_behind_a_bar(monkeypatch):
    stream = terminal(monkeypatch)
    with pytest.raises(ZeroDivisionError), setup_logging():
        console.draw("a long line of a bar", stream)
        LOGGER.warning("no")
        assert screen(stream) == "WARNING: no\n"
        console.draw("epoch 1", stream)
        raise ZeroDivisionError
    assert screen(stream) == "WARNING: no\n"


@pytest.mark.parametrize("verbose", [None, 0, 2])
def test_bar_is_for_those_who_asked_for_it(monkeypatch, verbose):
    """Not for a program that calls the package, nor for a log."""
    stream = terminal(monkeypatch)
    with contextlib.ExitStack() as stack:
        if verbose is not None:
            stack.enter_context(setup_logging(verbose))
        with console.waiting("reading"), console.counting("a", 2) as done:
            done(1)
    assert stream.getvalue() == ""


def test_a_file_gets_no_bar(capsys):
    with setup_logging(), console.counting("scoring", 2) as done:
        done(1)
        with console.waiting("reading"):
            done(2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.2, "0 s"),
        (89, "89 s"),
        (95, "2 min"),
        (3390, "56 min"),
        (9000, "2.5 h"),
    ],
)
def test_duration_is_as_exact_as_it_means_something(seconds, text):
    assert console.duration(seconds) == text
