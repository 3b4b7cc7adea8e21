"""The command `demo`: its address, its ends, and what it needs."""

import contextlib
import http.client
import signal
import subprocess
import sys
import threading
import urllib.request
import webbrowser

import pytest

from keras_mnist_sum.__main__ import main
from keras_mnist_sum.demo import server as demo
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference.predictor import Predictor
from tests.demo.test_server import ROOT
from tests.demo.test_server import start
from tests.demo.test_server import unasked


def test_skips_a_taken_port_unless_it_was_asked_for():
    first = demo.make_server(Predictor(unasked))
    with first, demo.make_server(Predictor(unasked)) as second:
        port = first.server_address[1]
        assert demo.PORT <= port < second.server_address[1]
        with pytest.raises(InputError, match=f"in use.*port={port}$"):
            demo.make_server(Predictor(unasked), port=port)


@pytest.mark.parametrize(
    "arguments, why",
    [
        (["--port", "70000"], "port=70000"),
        (["--port", "-1"], "port=-1"),
        (["--port", "x"], "'x'"),
        (["--host", "192.0.2.1"], "192.0.2.1"),
        (["--host", "a..b"], "a..b"),
        (["--host", ""], "host=''"),
        (["--model", "none"], "'none'"),
        (["drawing.png"], "drawing.png"),
    ],
)
def test_rejects_wrong_arguments_in_one_line(capsys, arguments, why):
    try:
        code = main(["demo", *arguments])
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert why in said.err


def test_missing_package_is_one_clear_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "keras_mnist_sum.demo.connections")
    monkeypatch.delitem(sys.modules, "keras_mnist_sum.demo.server")
    assert main(["demo"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "pip install" in said.err and "uvicorn" in said.err


def test_browser_that_blocks_its_terminal_gets_the_page(monkeypatch):
    """One such as lynx, which returns when it is left."""
    servers, got = [], []
    make_server = demo.make_server

    def make(*arguments):
        servers.append(make_server(*arguments))
        return servers[0]

    def browse(url):
        with urllib.request.urlopen(url, timeout=10) as page:
            got.append(page.status)
        servers[0].shutdown()

    monkeypatch.setattr(demo, "make_server", make)
    monkeypatch.setattr(webbrowser, "open", browse)
    thread = threading.Thread(
        target=main, args=(["demo", "--port", "0", "--open"],), daemon=True
    )
    thread.start()
    thread.join(20)
    assert got == [200] and not thread.is_alive()


@pytest.mark.parametrize(
    "sent, code, says",
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "SIGTERM: stopped"),
    ],
)
def test_signal_ends_it_while_browsers_are_connected(sent, code, says):
    with start() as (process, address), contextlib.ExitStack() as stack:
        # One that stays connected, one within a request: neither holds it up.
        for begun, body in (("GET", b""), ("POST", b"7")):
            browser = http.client.HTTPConnection(*address)
            stack.enter_context(contextlib.closing(browser))
            length = str(2 * len(body))
            browser.request(
                begun, "/answer?number=3", body, {"Content-Length": length}
            )
            if begun == "GET":
                browser.getresponse().read()
        process.send_signal(sent)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.strip()) == (code, "", says)


def test_default_model_needs_no_tensorflow():
    check = (
        "import sys; from keras_mnist_sum.demo.server import make_server; "
        "from keras_mnist_sum.inference.predictor import Predictor\n"
        "with make_server(Predictor.load(), port=0): "
        "sys.exit('tensorflow' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0
    )
