"""The server of the demo: a page to draw on, and the answers for it."""

import asyncio
import base64
import errno
import ipaddress
import re
import socket
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.responses import Response
from starlette.routing import Route

from keras_mnist_sum.demo.connections import PATIENCE
from keras_mnist_sum.demo.connections import HttpServer
from keras_mnist_sum.demo.connections import failure
from keras_mnist_sum.demo.page import page
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference.answer import Answer
from keras_mnist_sum.inference.pictures import strokes_to_mnist
from keras_mnist_sum.inference.predictor import Predictor
from keras_mnist_sum.inference.predictor import check_number

PORT = 8028
SIDE = 256  # pixels of a canvas as it is sent: a byte each, 255 is ink
LARGEST = 32 * 2**20  # bytes of a photo
_TRIES = 20  # ports, where none was asked for
_MOST_HELD = 8 * LARGEST  # bytes of pictures that wait for their answers
_LATE = {
    408: f"A picture must come within {PATIENCE} s. Received: a part of it",
    503: "Too many pictures are waiting for their answers: try again soon.",
}
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
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            reason = reason.partition(" (while")[0]  # It says where, as we do.
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                break
    raise InputError(
        f"Cannot listen at this address ({reason}). Received: host={host!r}, "
        f"port={free}"
    )


class Server:
    """The page at `/`, answers at `/answer?number=N`, and nothing else.

    Attributes:
        page: The page, UTF-8.
        url: Where it can be reached.
        server_address: The IP address and the port.
        names: What a request may call this host, `None` for anything. At a
            loopback address nothing but that: any web page may give it a name
            of its own (DNS rebinding), and would read what is answered.
    """

    def __init__(self, predictor: Predictor, host: str, port: int) -> None:
        if not host or not 0 <= port < 2**16:
            # An empty host would be all addresses.
            raise ValueError("there is no such address")
        self.page = page(predictor.task).encode()
        self._socket = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            dualstack_ipv6=":" in host,
        )
        # What asyncio does only where a socket names its protocol.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server_address = self._socket.getsockname()[:2]
        address = ipaddress.ip_address(self.server_address[0])
        self.names: set[str] | None = None
        if address.is_loopback:
            self.names = {"localhost", "127.0.0.1", "::1", str(address)}
            self.names.add(host.lower())  # as the user calls it
        if address.is_unspecified:
            host = socket.gethostname()
        host = f"[{host}]" if ":" in host else host
        self.url = f"http://{host}:{self.server_address[1]}/"
        self._predictor = predictor
        self._worker = ThreadPoolExecutor(1)  # A photo takes much memory.
        self._held = 0  # bytes of pictures
        handled = (HTTPException, InputError, ClientDisconnect, Exception)
        app = Starlette(
            routes=[
                Route("/", self._show),
                Route("/answer", self._answer, methods=["POST"]),
            ],
            exception_handlers=dict.fromkeys(handled, _refuse),
        )
        app.router.redirect_slashes = False
        self._server = HttpServer(app, _HEADERS)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def serve_forever(self) -> None:
        """Answers until `shutdown` or, in the main thread, a signal."""
        self._server.run([self._socket])

    def shutdown(self) -> None:
        """Ends `serve_forever`, from any thread."""
        self._server.should_exit = True

    async def _show(self, request: Request) -> Response:
        self._check_caller(request)
        return Response(self.page, media_type="text/html")

    async def _answer(self, request: Request) -> Response:
        self._check_caller(request)
        text = request.query_params.get("number", "")
        number = check_number(
            int(text) if re.fullmatch("-?[0-9]{1,9}", text) else text[:80]
        )
        kind = request.headers.get("content-type", "").partition(";")[0]
        body = bytearray()
        status = 408
        try:
            async with asyncio.timeout(PATIENCE):
                await self._read(request, body)
                status = 503
                answer = await asyncio.get_running_loop().run_in_executor(
                    self._worker,
                    self._predict,
                    number,
                    kind.strip().lower(),
                    body,
                )
        except TimeoutError:
            raise HTTPException(status, _LATE[status]) from None
        finally:
            self._held -= len(body)
        return JSONResponse(facts(answer))

    def _check_caller(self, request: Request) -> None:
        headers = request.headers
        host = headers.get("host", "")
        name = re.sub(r":\d*$", "", host).strip("[]").lower()
        if self.names is not None and name not in self.names:
            raise HTTPException(
                403,
                f"This server is called {', '.join(sorted(self.names))}. Let a "
                "proxy send one of these as Host, or start the demo with "
                "--host 0.0.0.0, which lets everybody in who can reach this "
                f"machine. Received: {host[:80]!r}",
            )
        # As Go does it: https://pkg.go.dev/net/http#CrossOriginProtection
        origin = headers.get("origin", f"http://{host}")
        own = origin.partition("://")[2] == host
        site = headers.get("sec-fetch-site", "same-origin" if own else "other")
        if request.method == "POST" and site not in ("none", "same-origin"):
            raise HTTPException(
                403,
                "Only this server's own page may ask. Let a proxy send the "
                "Host that the browser sent. "
                f"Received: Origin {origin[:80]!r}, Sec-Fetch-Site {site!r}",
            )
        if "content-length" in headers and "transfer-encoding" in headers:
            raise HTTPException(
                400,
                "A request must have one length. Received: Content-Length and "
                "Transfer-Encoding",
                {"Connection": "close"},
            )

    async def _read(self, request: Request, body: bytearray) -> None:
        """Fills `body`, and counts its bytes as held."""
        size = int(request.headers.get("content-length", 0))
        chunks = request.stream()
        while size <= LARGEST and (chunk := await anext(chunks)):
            body += chunk
            self._held += len(chunk)
            size = max(size, len(body))
            if self._held > _MOST_HELD:
                raise HTTPException(503, _LATE[503])
        if size > LARGEST:
            raise HTTPException(
                413,
                f"A photo must have at most {LARGEST:,} bytes. "
                f"Received: {size:,} bytes",
            )

    def _predict(self, number: int, kind: str, body: bytearray) -> Answer:
        """Answers for a canvas or a photo, as the media type says."""
        if kind.startswith("image/"):
            return self._predictor(bytes(body), number)
        if kind != "application/octet-stream":
            raise InputError(
                "The content type must be image/... or "
                f"application/octet-stream. Received: {kind[:80]!r}"
            )
        if len(body) != SIDE**2:
            raise InputError(
                f"A drawing must have {SIDE} x {SIDE} bytes. "
                f"Received: {len(body):,} bytes"
            )
        strokes = np.frombuffer(body, "uint8").reshape(SIDE, SIDE)
        seen = strokes_to_mnist(strokes)[np.newaxis]
        return self._predictor.answers(seen, np.array([number]))[0]


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, InputError):
        return failure(400, str(error))
    if isinstance(error, HTTPException):
        detail = error.detail
        if "." not in detail:  # Starlette's own are names of statuses.
            path = request.scope["path"][:80]
            detail += f". Received: {request.method} {path!r}"
        return failure(error.status_code, detail, error.headers)
    if not isinstance(error, ClientDisconnect):
        traceback.print_exception(error)
    return failure(500, f"The demo has a defect. Received: {error!r}")


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
