"""Lets a boto3 client inside this server ask the server directly, without a socket and a thread each time.

The request is signed and dispatched as any other; only the way there is shorter.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Any]


class _Body(io.BytesIO):
    """An answer's body as botocore reads it from urllib3."""

    def stream(self, amt: int = 1 << 16, **_options: Any) -> Iterator[bytes]:
        while chunk := self.read(amt):
            yield chunk


def connect(client: Any, application: Wsgi) -> None:
    """Make `client` send its requests to the WSGI application in this process."""

    def send(request: AWSPreparedRequest, **_context: Any) -> AWSResponse:
        head: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_rest: Any) -> None:
            head[:] = [int(status.split(" ", 1)[0]), headers]

        body = b"".join(application(_environ(request), start_response))
        status, headers = head
        return AWSResponse(request.url, status, dict(headers), _Body(body))

    client.meta.events.register("before-send", send)


def _environ(request: AWSPreparedRequest) -> dict[str, Any]:
    url = urlsplit(request.url)
    body = request.body
    if body is None:
        body = b""
    elif isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes | bytearray):
        body = body.read()
    raw = url.path + (f"?{url.query}" if url.query else "")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        # WSGI carries the decoded path as if it were Latin-1.
        "PATH_INFO": unquote(url.path, "latin-1"),
        "QUERY_STRING": url.query,
        "REQUEST_URI": raw,
        "RAW_URI": raw,
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": url.netloc,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(bytes(body)),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        PRESERVED_HEADER_NAMES_ENVIRON_KEY: {},
    }
    for name, value in request.headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ["CONTENT_TYPE"] = text
        elif key not in ("CONTENT_LENGTH", "HOST", "TRANSFER_ENCODING"):
            environ[f"HTTP_{key}"] = text
    return environ
