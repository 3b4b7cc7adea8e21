"""The server of the demo: a page to draw on, and the answers for it."""

import base64
import contextlib
import errno
import http.server
import ipaddress
import json
import re
import socket
import socketserver
import sys
import threading
import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np

from keras_mnist_sum import __version__
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference.answer import Answer
from keras_mnist_sum.inference.pictures import strokes_to_mnist
from keras_mnist_sum.inference.predictor import Predictor
from keras_mnist_sum.inference.predictor import check_number
from keras_mnist_sum.task import IMAGE_SHAPE
from keras_mnist_sum.task import Task

PORT = 8028
SIDE = 256  # pixels of a canvas as it is sent: a byte each, 255 is ink
LARGEST = 32 * 2**20  # bytes of a photo
_CHUNK = 2**16
_TRIES = 20  # ports, where none was asked for
_PAGE = Path(__file__).with_name("page.html")
_HEADERS = {
    "Cache-Control": "no-store",
    # The browser itself sees to it that nothing comes from elsewhere.
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; "
    "img-src data: blob:; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_server(
    predictor: Predictor, host: str = "127.0.0.1", port: int | None = None
) -> "Server":
    """Listens at an address; `serve_forever()` answers there.

    Args:
        predictor: The model.
        host: The address.
        port: The port; 0 means any free one, `None` the first free one from
            8028 on.

    Raises:
        InputError: If the address is not free.
    """
    tries = range(PORT, PORT + _TRIES) if port is None else [port]
    for free in tries:
        try:
            return Server(predictor, host, free)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                break
    raise InputError(
        f"Cannot listen at this address ({reason}). Received: host={host!r}, "
        f"port={free}"
    )


class Server(http.server.ThreadingHTTPServer):
    """The page at `/`, answers at `/answer?number=N`, and nothing else.

    Attributes:
        page: The page, UTF-8.
        url: Where it can be reached.
        names: What a request may call this host, `None` for anything. At a
            loopback address nothing but that: any web page may give it a name
            of its own (DNS rebinding), and would read what is answered.
    """

    def __init__(self, predictor: Predictor, host: str, port: int) -> None:
        self._predictor = predictor
        self._one_at_a_time = threading.Lock()  # A photo takes much memory.
        self.page = _page(predictor.task)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        address = ipaddress.ip_address(str(self.server_address[0]))
        self.names: set[str] | None = None
        if address.is_loopback:
            self.names = {"localhost", "127.0.0.1", "::1", str(address)}
            self.names.add(host.lower())  # as the user calls it
        if address.is_unspecified:
            host = socket.gethostname()
        host = f"[{host}]" if ":" in host else host
        self.url = f"http://{host}:{self.server_address[1]}/"

    def server_bind(self) -> None:
        # HTTPServer's own asks a name server for a name that nobody needs.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that went away is no news. All else is a defect.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def answer(self, number: int, kind: str, body: bytes) -> Answer:
        """Answers for a canvas or a photo.

        Args:
            number: 0-9.
            kind: The media type: an image's, or else of a canvas.
            body: A picture's file, or `SIDE * SIDE` bytes.

        Raises:
            InputError: If it is neither, or nothing is drawn there.
        """
        if kind.startswith("image/"):
            with self._one_at_a_time:
                return self._predictor(body, number)
        if kind != "application/octet-stream":
            raise InputError(
                "The content type must be image/... or "
                f"application/octet-stream. Received: {kind!r}"
            )
        if len(body) != SIDE**2:
            raise InputError(
                f"A drawing must have {SIDE} x {SIDE} bytes. "
                f"Received: {len(body):,} bytes"
            )
        strokes = np.frombuffer(body, "uint8").reshape(SIDE, SIDE)
        with self._one_at_a_time:
            seen = strokes_to_mnist(strokes)[np.newaxis]
            return self._predictor.answers(seen, np.array([number]))[0]


def _page(task: Task) -> bytes:
    """The page for a model of this task."""
    facts = {
        "image": IMAGE_SHAPE,
        "outputs": [
            {"name": name, "values": output.values, "text": output.text}
            for name, output in task.items()
        ],
    }
    # A file's task must not end the script.
    task_json = json.dumps(facts).replace("<", "\\u003c")
    page = _PAGE.read_text(encoding="utf-8")
    return page.replace('"TASK"', task_json).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"  # One connection for all strokes.
    server_version = f"keras_mnist_sum/{__version__}"
    sys_version = ""
    timeout = 30  # seconds for a client to go on
    wbufsize = -1  # Head and body leave together, at once:
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self._is_welcome("/"):
            self._send(200, "text/html; charset=utf-8", self.server.page)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        if not self._is_welcome("/answer"):
            return
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,15}", length):
            self.send_error(
                400, f"Content-Length must be a count. Received: {length!r}"
            )
        elif int(length) > LARGEST:
            self.send_error(
                413,
                f"A photo must have at most {LARGEST:,} bytes. "
                f"Received: {int(length):,} bytes",
            )
        else:
            body = self.rfile.read(int(length))
            try:
                number = check_number(self._number())
                kind = self.headers.get_content_type()
                answer = self.server.answer(number, kind, body)
            except InputError as error:
                self._send_json(400, {"error": " ".join(str(error).split())})
            else:
                self._send_json(200, facts(answer))

    def _is_welcome(self, path: str) -> bool:
        """Whether this is our name and the path; else says that it is not."""
        host = self.headers.get("Host", "")
        name = re.sub(r":\d*$", "", host).strip("[]").lower()
        if self.server.names is not None and name not in self.server.names:
            self.send_error(
                403, f"This host has another name. Received: {host!r}"
            )
        elif self.path.partition("?")[0] != path:
            self.send_error(
                404, f"There is no such page. Received: {self.path!r}"
            )
        else:
            return True
        return False

    def _number(self) -> int | str:
        query = self.path.partition("?")[2]
        number = urllib.parse.parse_qs(query).get("number", [""])[-1]
        try:
            return int(number)
        except ValueError:
            return number

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """One line, as JSON; what may be left of the request goes unread."""
        self.close_connection = True
        self._send_json(code, {"error": message or self.responses[code][0]})

    def _send_json(self, code: int, content: dict) -> None:
        body = json.dumps(content, allow_nan=False).encode()
        self._send(code, "application/json", body)

    def _send(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        headers = {
            **_HEADERS,
            "Content-Type": kind,
            "Content-Length": str(len(body)),
        }
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def finish(self) -> None:
        """Hears a refused client out, who else could not read why."""
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(2)
            for _ in range(2 * LARGEST // _CHUNK):
                if not self.rfile.read1(_CHUNK):
                    break
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the screen is the user's."""


def facts(answer: Answer) -> dict:
    """An answer as JSON has it.

    Returns:
        The answer's number, values and whether they agree. `image` is its
        bytes in base64; `predictions` are lists, one number long for a value.
    """
    return {
        "number": answer.number,
        "values": answer.values,
        "agree": answer.agree,
        "image": base64.b64encode(answer.image.tobytes()).decode(),
        "predictions": {
            name: [round(float(x), 6) for x in prediction]
            for name, prediction in answer.predictions.items()
        },
    }
