"""Downloads: the whole file with the right content, or an error in a line."""

import hashlib
import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT = 4.0  # seconds without a sign of life
SLOWEST = 20_000  # bytes a second, in any TIMEOUT seconds


class DownloadError(Exception):
    """Raised when a file cannot be had. The message says why, in a few words,
    and does not end in a full stop."""


def fetch(url: str, path: Path, size: int, sha256: str) -> None:
    """Downloads a file whose content is known.

    Args:
        url: Where it is. Proxies are taken from the environment.
        path: Where to write it. What an error leaves there is not whole.
        size: Its size, in bytes.
        sha256: Its SHA-256, in hexadecimal.

    Raises:
        DownloadError: If the server does not answer, stops sending, sends too
            slowly or sends something else.
        OSError: If `path` cannot be written.
    """
    name = url.rpartition("/")[2]
    received, digest = 0, hashlib.sha256()
    with _open(url) as response, open(path, "wb") as file:
        kind = response.headers.get_content_type()
        # Without a length there might be no end.
        if response.length != size:
            raise DownloadError(
                f"{name} is not what it should be: {response.length or 'some'} "
                f"bytes of {kind}, not {size:,} bytes"
            )
        begun, before = time.monotonic(), 0
        while chunk := _next_chunk(response, name):
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            elapsed = time.monotonic() - begun
            if elapsed > TIMEOUT:
                if received - before < SLOWEST * elapsed:
                    raise DownloadError(
                        f"{name} arrives too slowly, {received:,} of {size:,} "
                        "bytes"
                    )
                begun, before = time.monotonic(), received
    if received != size:
        raise DownloadError(
            f"the download of {name} broke off after {received:,} of {size:,} "
            "bytes"
        )
    if digest.hexdigest() != sha256:
        raise DownloadError(
            f"{name} is not what it should be: SHA-256 "
            f"{digest.hexdigest()[:8]}..., not {sha256[:8]}..."
        )


def _open(url: str) -> http.client.HTTPResponse:
    """The server's answer, in `TIMEOUT` seconds."""
    answers: list[http.client.HTTPResponse | Exception] = []
    # In a thread, since a name look-up has no time limit of its own.
    thread = threading.Thread(target=_ask, args=(url, answers), daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    answer = answers[0] if answers else TimeoutError()
    if isinstance(answer, urllib.error.HTTPError):
        answer.close()
        raise DownloadError(f"the server says {answer.code} {answer.reason}")
    if isinstance(answer, Exception):
        why = getattr(answer, "reason", answer)
        if isinstance(why, TimeoutError | socket.gaierror):
            raise DownloadError("no network") from answer
        words = " ".join(str(why).split()) or type(why).__name__
        raise DownloadError(f"no usable answer: {words}"[:200]) from answer
    return answer


def _ask(url: str, answers: list) -> None:
    try:
        answers.append(urllib.request.urlopen(url, timeout=TIMEOUT))
    except (OSError, ValueError, http.client.HTTPException) as error:
        answers.append(error)


def _next_chunk(response: http.client.HTTPResponse, name: str) -> bytes:
    try:
        return response.read1(2**16)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DownloadError(f"the download of {name} broke off") from error
