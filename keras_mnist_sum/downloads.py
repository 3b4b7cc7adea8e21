"""Downloads: the whole file with the right content, or an error in a line."""

import hashlib
import http.client
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT = 4.0  # seconds without a sign of life
SLOWEST = 20_000  # bytes a second, on average, beyond the first TIMEOUT


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
    start = time.monotonic()
    with _opened(url) as response, open(path, "wb") as file:
        while chunk := _next_chunk(response, name):
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            if time.monotonic() - start > TIMEOUT + received / SLOWEST:
                raise DownloadError(
                    f"{name} arrives too slowly, {received:,} of {size:,} bytes"
                )
            if received > size:
                break
    if received != size or digest.hexdigest() != sha256:
        what = response.headers.get_content_type()
        amount = f"more than {size:,}" if received > size else f"{received:,}"
        raise DownloadError(
            f"{name} is not what it should be: {amount} bytes of {what} with "
            f"SHA-256 {digest.hexdigest()[:8]}..., not {size:,} bytes with "
            f"{sha256[:8]}..."
        )


def _opened(url: str) -> http.client.HTTPResponse:
    """The server's answer, in `TIMEOUT` seconds."""
    outcome: list = []

    def ask() -> None:
        try:
            outcome.append(urllib.request.urlopen(url, timeout=TIMEOUT))
        except (OSError, ValueError, http.client.HTTPException) as error:
            outcome.append(error)

    # In a thread, since a name look-up has no time limit of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    answer = outcome[0] if outcome else TimeoutError()
    if isinstance(answer, urllib.error.HTTPError):
        answer.close()
        raise DownloadError(f"the server says {answer.code} {answer.reason}")
    if isinstance(answer, Exception):
        raise DownloadError("no network") from answer
    return answer


def _next_chunk(response: http.client.HTTPResponse, name: str) -> bytes:
    try:
        return response.read1(2**16)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DownloadError(f"the download of {name} broke off") from error
