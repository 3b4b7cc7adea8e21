"""The page's server, as a browser and as anybody else may ask it."""

import base64
import contextlib
import http.client
import io
import itertools
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_mnist_sum.demo import connections
from keras_mnist_sum.demo import server as demo
from keras_mnist_sum.inference.pictures import strokes_to_mnist
from keras_mnist_sum.inference.predictor import Predictor
from keras_mnist_sum.task import Output
from keras_mnist_sum.task import Task
from tests.evaluation.known_model import always_reads
from tests.fixtures.browser import serve
from tests.fixtures.strokes import canvas
from tests.fixtures.strokes import strokes

ROOT = Path(__file__).parents[2]
CANVAS = "application/octet-stream"


def unasked(arrays):
    raise NotImplementedError


@pytest.fixture(scope="module")
def server():
    with serve(Predictor.load()) as server:
        yield server


def ask(server, path="/answer?number=3", body=b"", method="POST", **headers):
    """The status, headers and content of a reply; JSON as it is meant."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=20)
    headers = {name.replace("_", "-"): x for name, x in headers.items()}
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        content = reply.read()
    finally:
        connection.close()
    if content and reply.headers["Content-Type"] == "application/json":
        content = json.loads(content)
    return reply.status, reply.headers, content


def drawing(digit, size=0.7, at=(0.5, 0.5), width=0.075):
    return canvas(strokes(digit, size, at), width)


@contextlib.contextmanager
def start(before=lambda: None):
    """A demo in a process of its own, and its address."""

    def prepare():
        # Tests that run in the background may have it ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        before()

    process = subprocess.Popen(
        [sys.executable, "-m", "keras_mnist_sum", "demo", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        preexec_fn=prepare,
    )
    with process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)  # Should it not end by itself.
        line = process.stdout.readline()
        assert line.startswith("draw at http://127.0.0.1:")
        host, port = line.split("/")[2].split(":")
        yield process, (host, int(port))


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def huge_png():
    """A PNG of 20,000 x 20,000 pixels, in 50 kB."""

    def chunk(kind, data):
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    side = 20_000
    head = 2 * side.to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    parts = (b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_reads_drawings_of_all_digits(server):
    # Thin and thick, small and large, off-centre and up to the margin.
    places = [(0.25, 0.05), (0.5, 0.03), (0.7, 0.075), (0.95, 0.1)]
    for size, width in places:
        middle = max(0.3, size / 2)
        for digit in range(10):
            made = drawing(digit, size, (middle, 1 - middle), width)
            status, _, answer = ask(
                server,
                f"/answer?number={9 - digit}",
                made.tobytes(),
                Content_Type=CANVAS,
            )
            assert status == 200
            assert (answer["number"], answer["agree"]) == (9 - digit, True)
            difference = abs(2 * digit - 9)
            assert answer["values"] == {
                "digit": digit,
                "sum": 9,
                "difference": difference,
            }


def test_answer_has_all_probabilities_and_what_the_model_saw(server):
    made = drawing(7)
    _, _, answer = ask(server, body=made.tobytes(), Content_Type=CANVAS)
    predictions = answer["predictions"]
    assert {name: len(x) for name, x in predictions.items()} == {
        "digit": 10,
        "sum": 19,
        "difference": 10,
    }
    for shares in predictions.values():
        assert sum(shares) == pytest.approx(1, abs=1e-4)
    seen = np.frombuffer(base64.b64decode(answer["image"]), "uint8")
    assert np.array_equal(seen.reshape(28, 28), strokes_to_mnist(made))


def test_lopsided_drawing_is_not_taken_for_a_page(server):
    """Its centre of mass cannot be the picture's: no page is looked for."""
    made = np.zeros((demo.SIDE, demo.SIDE), "uint8")
    made[40:48, 40:48] = 255
    made[150:215, 150:215] = 255
    prepared = strokes_to_mnist(made)
    status, _, answer = ask(server, body=made.tobytes(), Content_Type=CANVAS)
    assert status == 200
    seen = np.frombuffer(base64.b64decode(answer["image"]), "uint8")
    assert np.array_equal(seen.reshape(28, 28), prepared)


def test_reads_a_photo_as_the_predictor_does(server):
    photo = Image.fromarray(255 - drawing(4)).convert("RGB")
    _, _, answer = ask(server, body=png(photo), Content_Type="image/png")
    expected = demo.facts(Predictor.load()(photo, 3))
    assert answer["values"]["digit"] == 4 and answer == expected


def test_page_is_told_what_the_model_computes():
    task = Task.named(("digit", "greater", "difference"), "signed")
    with demo.make_server(Predictor(unasked, task), port=0) as server:
        [told] = re.findall("const TASK = (.*?);", server.page.decode())
    assert json.loads(told) == {
        "image": [28, 28, 1],
        "outputs": [
            {"name": "digit", "values": [*range(10)], "text": "digit"},
            {"name": "greater", "values": [0, 1], "text": "{d} > {n}"},
            {
                "name": "difference",
                "values": [*range(-9, 10)],
                "text": "{d} − {n}",
            },
        ],
    }


def test_text_from_a_model_file_cannot_end_the_script():
    text = "</script><script>alert(1)</script>{d}<!--"
    outputs = [*Task.named().values()]
    outputs.append(Output.of("evil", lambda d, n: d * n, text))
    with demo.make_server(
        Predictor(unasked, Task.of(outputs)), port=0
    ) as server:
        assert server.page.count(b"</script>") == 1
        [told] = re.findall("const TASK = (.*?);  ", server.page.decode())
    assert json.loads(told)["outputs"][-1]["text"] == text


def test_answers_for_a_task_of_ones_own():
    task = Task(product=lambda d, n: d * n, digit=lambda d, n: d)
    with serve(Predictor(always_reads(7, task), task)) as server:
        body = drawing(7).tobytes()
        _, _, answer = ask(server, body=body, Content_Type=CANVAS)
    assert answer["values"] == {"product": 21, "digit": 7}
    assert answer["agree"] and answer["predictions"]["product"].count(1) == 1


@pytest.mark.parametrize(
    "number, received",
    [("10", "10"), ("-1", "-1"), ("x", "'x'"), ("", "''"), ("3.5", "'3.5'")],
)
def test_rejects_a_wrong_number_in_one_line(server, number, received):
    body = drawing(7).tobytes()
    status, _, answer = ask(
        server, f"/answer?number={number}", body, Content_Type=CANVAS
    )
    assert status == 400 and list(answer) == ["error"]
    assert answer["error"].endswith(f"Received: {received}")


@pytest.mark.parametrize(
    "kind, body, why",
    [
        ("image/png", b"", "0 bytes"),
        ("image/png", np.random.default_rng(0).bytes(5000), "5,000 bytes"),
        ("image/png", huge_png(), "more than 67,108,864 pixels"),
        ("image/png", png(Image.new("L", (99, 99), 255)), "Nothing is drawn"),
        (CANVAS, b"", "0 bytes"),
        (CANVAS, bytes(demo.SIDE**2), "Nothing is drawn"),
        (CANVAS, bytes(demo.SIDE**2 + 1), "65,537 bytes"),
        ("text/plain", b"7", "'text/plain'"),
        ("application/x-www-form-urlencoded", b"a=7", "form-urlencoded'"),
    ],
)
def test_rejects_a_wrong_picture_in_one_line_and_lives_on(
    server, kind, body, why
):
    status, _, answer = ask(server, body=body, Content_Type=kind)
    assert status == 400 and list(answer) == ["error"]
    assert why in answer["error"] and "\n" not in answer["error"]
    body = drawing(1).tobytes()
    _, _, answer = ask(server, body=body, Content_Type=CANVAS)
    assert answer["values"]["digit"] == 1


def test_rejects_too_large_an_upload_before_reading_it(server):
    # What is announced never comes, so an answer shows that nothing waits.
    size = str(demo.LARGEST + 1)
    status, _, answer = ask(server, Content_Length=size)
    assert status == 413 and "Received: 33,554,433 bytes" in answer["error"]
    # And who sends it all the same can read the answer.
    body = bytes(demo.LARGEST + 1)
    status, _, answer = ask(server, body=body, Content_Type="image/png")
    assert status == 413


def test_rejects_too_large_an_upload_of_unknown_length(server):
    body = itertools.repeat(bytes(2**20), 33)
    status, _, answer = ask(server, body=body, Content_Type="image/png")
    assert status == 413 and "Received: 3" in answer["error"]


def test_rejects_a_request_of_two_lengths_and_hangs_up(server):
    status, headers, answer = ask(
        server,
        body=b"0\r\n\r\n",
        Transfer_Encoding="chunked",
        Content_Length="5",
    )
    assert (status, headers["Connection"]) == (400, "close")
    assert "one length" in answer["error"]


@pytest.mark.parametrize("length", ["-1", "x", "", "1e3", "²", 5000 * "9"])
def test_rejects_a_wrong_length_in_one_line(server, length):
    request = (
        "POST /answer?number=3 HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Length: {length}\r\n\r\n"
    )
    with socket.create_connection(server.server_address, 20) as client:
        client.sendall(request.encode("latin-1"))
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert "Content-Length" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/../README.md", 404),
        ("GET", "/..%2f..%2fetc/passwd", 404),
        ("GET", "//etc/passwd", 404),
        ("GET", "/demo.py", 404),
        ("GET", "/answer/", 404),
        ("GET", "/answer?number=3", 405),
        ("POST", "/", 405),
        ("PUT", "/answer", 405),
        ("OPTIONS", "/answer", 405),
    ],
)
def test_serves_nothing_but_the_page_and_answers(server, method, path, status):
    got, headers, content = ask(server, path, method=method)
    assert got == status and list(content) == ["error"]
    assert "Access-Control-Allow-Origin" not in headers


def test_answers_garbage_and_lives_on(server):
    for garbage, status in (
        (b"\x16\x03\x01\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", 400),
        (100_000 * b"x", 431),
    ):
        with socket.create_connection(server.server_address, 20) as client:
            client.sendall(garbage)
            reply = http.client.HTTPResponse(client)
            reply.begin()
            assert reply.status == status
            assert list(json.loads(reply.read())) == ["error"]
    assert ask(server, "/", method="GET")[0] == 200


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1:1", "[::1]:8028"])
def test_accepts_its_own_names(server, name):
    status, _, _ = ask(server, "/", method="GET", Host=name)
    assert status == 200


@pytest.mark.parametrize(
    "name", ["evil.example", "localhost.evil.example:8028", "", "[", "127.1"]
)
@pytest.mark.parametrize("method, path", [("GET", "/"), ("POST", "/answer")])
def test_rejects_other_names_at_a_loopback_address(server, name, method, path):
    status, _, content = ask(server, path, method=method, Host=name)
    assert status == 403 and content["error"].endswith(f"Received: {name!r}")


def test_says_how_to_be_reached_through_a_proxy(server):
    _, _, content = ask(server, "/", method="GET", Host="demo.example")
    assert "proxy" in content["error"] and "--host 0.0.0.0" in content["error"]


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),
        ({"Origin": "http://localhost"}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site", "Origin": "http://localhost"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
    ],
)
def test_answers_no_page_of_others(server, headers, status):
    headers = {"Host": "localhost", "Content-Type": CANVAS, **headers}
    body = drawing(7).tobytes()
    assert ask(server, body=body, **headers)[0] == status


def test_accepts_the_name_that_the_user_gave(monkeypatch):
    monkeypatch.setattr(  # as of a machine in its own /etc/hosts
        socket.socket,
        "bind",
        lambda self, address, bind=socket.socket.bind: bind(
            self, ("127.0.1.1", address[1])
        ),
    )
    with demo.make_server(Predictor(unasked), "My-Machine", 0) as server:
        assert server.url.startswith("http://My-Machine:")
        assert "my-machine" in server.names


def test_accepts_any_name_where_others_are_let_in():
    with demo.make_server(Predictor(unasked), "0.0.0.0", 0) as server:
        assert server.names is None
        assert socket.gethostname() in server.url


def test_rejects_a_picture_that_does_not_come(server, monkeypatch):
    monkeypatch.setattr(demo, "PATIENCE", 0.1)
    status, _, answer = ask(server, Content_Length="9", Content_Type=CANVAS)
    assert status == 408 and answer["error"].count("Received: ") == 1


def test_rejects_a_picture_whose_turn_does_not_come(monkeypatch):
    go_on = threading.Event()

    def predict(arrays):
        go_on.wait(20)
        return {}

    monkeypatch.setattr(demo, "PATIENCE", 0.1)
    body = drawing(7).tobytes()
    with serve(Predictor(predict)) as server:
        status, _, answer = ask(server, body=body, Content_Type=CANVAS)
        page, _, _ = ask(server, "/", method="GET")
        go_on.set()
    assert (status, page) == (503, 200) and "try again" in answer["error"]


def test_defect_is_one_line_for_the_page_and_a_traceback_for_us(capfd):
    body = drawing(7).tobytes()
    with serve(Predictor(unasked)) as server:
        for _ in range(2):
            status, _, answer = ask(server, body=body, Content_Type=CANVAS)
            assert status == 500
            assert answer["error"].endswith("Received: NotImplementedError()")
    assert capfd.readouterr().err.count("Traceback") == 2


def test_hangs_up_on_clients_that_do_not_go_on(capfd, monkeypatch):
    monkeypatch.setattr(connections, "PATIENCE", 0.1)
    head = b"POST /answer?number=3 HTTP/1.1\r\nHost: localhost\r\n"
    with serve(Predictor(unasked)) as server, contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(
                socket.create_connection(server.server_address, 20)
            )
            for _ in range(3)
        ]
        clients[1].sendall(head)
        clients[2].sendall(head + b"Content-Length: 9\r\n\r\n1")
        for client in clients:
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_answers_all_of_200_at_once(server):
    body = drawing(7).tobytes()

    def answer(_):
        return ask(server, body=body, Content_Type=CANVAS)[0]

    with ThreadPoolExecutor(200) as pool:
        assert [*pool.map(answer, range(200))] == [200] * 200


@pytest.mark.slow
def test_memory_stays_the_same_over_thousands_of_answers():
    body = drawing(7).tobytes()
    with start() as (process, address), contextlib.ExitStack() as stack:
        browser = http.client.HTTPConnection(*address, timeout=20)
        stack.enter_context(contextlib.closing(browser))
        pages = []
        for _ in range(5):
            for _ in range(1000):
                headers = {"Content-Type": CANVAS}
                browser.request("POST", "/answer?number=3", body, headers)
                assert browser.getresponse().read().startswith(b'{"number":3')
            statm = Path(f"/proc/{process.pid}/statm").read_text()
            pages.append(int(statm.split()[1]))
        process.kill()
    assert pages[-1] - pages[0] < 10 * 2**20 / resource.getpagesize()


@pytest.mark.slow
@pytest.mark.parametrize("files", [128, 1024])
def test_idle_connections_do_not_stop_others(files):
    """Not even where they take all files that the process may have."""

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with start(limit) as (process, address), contextlib.ExitStack() as stack:
        for _ in range(500 if files > 500 else 150):
            client = socket.create_connection(address, 20)
            stack.enter_context(client).sendall(b"GET / HTTP/1.1\r\nA: ")
        browser = http.client.HTTPConnection(*address, timeout=60)
        stack.enter_context(contextlib.closing(browser))
        browser.request("GET", "/")
        assert browser.getresponse().status == 200
        process.terminate()
        _, err = process.communicate(timeout=20)
        assert err.split() == ["SIGTERM:", "stopped"]


def test_page_needs_nothing_from_elsewhere(server):
    status, headers, page = ask(server, "/", method="GET")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "http" not in policy
    for text in (b"//cdn", b"https://", b" src=", b"@import", b'"TASK"'):
        assert text not in page
    assert page.count(b"http://") == page.count(b"http://www.w3.org/2000/svg")
    status, headers, content = ask(server, "/", method="HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["Content-Length"]) == len(page)
