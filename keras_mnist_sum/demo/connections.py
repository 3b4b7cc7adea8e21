"""uvicorn, which waits for its clients only so long, and says nothing."""

import asyncio
import errno
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

import h11
import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 30  # seconds
_MOST = 500  # connections
_MOST_WAITING = 1024  # connections that are not accepted yet
_LEAST_IDLE = 5  # seconds, before a connection makes room for others


class HttpServer(uvicorn.Server):
    """Serves an application on listening sockets: `run([socket])`.

    A connection is closed when its client takes more than two times `PATIENCE`
    to send a request, to read an answer or to ask again. Where there are too
    many connections, the longest idle ones make room.
    """

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=logging.CRITICAL,
                server_header=False,
                headers=[*headers.items()],
                callback_notify=self._drop_idle,
                timeout_notify=0,  # It is called each second.
                # asyncio accepts as many in one go. Where files run out, it
                # fails as often, and tries again for each failure.
                backlog=1,
                timeout_keep_alive=PATIENCE,
                timeout_graceful_shutdown=0,
            )
        )
        self._most = _MOST
        self._idle: dict[tuple, float] = {}  # since when, in seconds

    async def startup(self, sockets: Any = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._report)
        await super().startup(sockets)
        for one in sockets:
            one.listen(_MOST_WAITING)

    async def _drop_idle(self) -> None:
        connections: Any = self.server_state.connections
        now = time.monotonic()
        requests = [  # where it is the client's turn
            (x, x.cycle)
            for x in connections
            if x.conn.our_state is not h11.SEND_RESPONSE
            or x.conn.their_state is h11.SEND_BODY
        ]
        self._idle = {x: self._idle.get(x, now) for x in requests}
        excess = len(connections) - self._most
        for (connection, _), since in sorted(
            self._idle.items(), key=lambda item: item[1]
        ):
            if now - since > (_LEAST_IDLE if excess > 0 else 2 * PATIENCE):
                connection.transport.abort()
                excess -= 1

    def _report(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        """Reports a defect. A browser that went away is none."""
        error = context.get("exception")
        if not isinstance(error, OSError):
            loop.default_exception_handler(context)
        elif error.errno in (errno.EMFILE, errno.ENFILE):  # No more files.
            self._most = min(
                self._most, len(self.server_state.connections) // 2
            )


class _Connection(H11Protocol):
    """Answers in JSON where a request is not HTTP."""

    def data_received(self, data: bytes) -> None:
        # What follows is thrown away, until the client has heard us out.
        if self.conn.their_state is not h11.ERROR:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        if self.cycle:  # The request that went before: nobody hears its answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        error = sys.exception()
        status = getattr(error, "error_status_hint", 400)
        response = failure(status, f"This is not valid HTTP. Received: {error}")
        headers = self.server_state.default_headers + response.raw_headers
        headers.append((b"connection", b"close"))
        try:
            for event in (
                h11.Response(status_code=status, headers=headers),
                h11.Data(data=bytes(response.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
            self.transport.write_eof()
        except h11.LocalProtocolError:  # It has been answered already.
            self.transport.abort()


def failure(
    status: int, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Says in one line what is wrong."""
    content = {"error": " ".join(message.split())}
    return JSONResponse(content, status, headers)
