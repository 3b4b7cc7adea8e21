"""Standard streams that are closed, or fail, stop nothing."""

import io
import sys

import pytest

from keras_mnist_sum.utils import standard_streams


class FullStream(io.StringIO):
    """A stream on a full disk."""

    def flush(self):
        raise OSError(28, "No space left on device")


def test_closed_streams_are_opened_on_nothing(monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    standard_streams.open_closed()
    print("out", flush=True)
    standard_streams.say("error")
    assert sys.stdin.read() == ""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()


def test_character_that_cannot_be_shown_is_a_question_mark(monkeypatch):
    shown = io.BytesIO()
    stream = io.TextIOWrapper(shown, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    standard_streams.open_closed()
    print("3 ± \udcff", flush=True)
    assert shown.getvalue() == b"3 ? ?\n"


def closed_stream():
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    return stream


@pytest.mark.parametrize(
    "make, broken",
    [(FullStream, True), (closed_stream, True), (io.StringIO, False)],
)
def test_stream_that_fails_is_told_and_raises_nothing(
    monkeypatch, make, broken
):
    stream = make()
    assert standard_streams.is_broken(stream) is broken
    monkeypatch.setattr(sys, "stderr", stream)
    standard_streams.say("line")
