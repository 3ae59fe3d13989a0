"""The web server in front of moto: health, one log line for each failed request, then moto's own dispatch."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from scones_ops.local.context import CONTEXT
from scones_ops.local.unsupported import (
    Answer,
    error_answer,
    is_unrouted,
    not_implemented,
    operation_of,
    service_of,
)

log = logging.getLogger("scones.local.requests")

HEALTH_PATH = "/_scones/health"

# What runs, by name: each extension adds a function that counts its own things.
COUNTERS: dict[str, Callable[[], int]] = {}

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class Application:
    """The WSGI application of the local AWS."""

    def __init__(self) -> None:
        default_user_config["lambda"] = {"use_docker": False}
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        self._moto = _Dispatcher(_create_app)
        self._since = time.time()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        refusal = refusal_of(environ)
        if refusal:
            log.warning("refused: %s %s (%s)", environ["REQUEST_METHOD"], environ.get("PATH_INFO"), refusal)
            start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"{refusal}\n".encode()]
        if environ.get("PATH_INFO") == HEALTH_PATH:
            return self._health(start_response)

        answer = self._ask_moto(environ)
        if answer.status[0] in "45" and environ["REQUEST_METHOD"] != "HEAD":
            log.info("%s %s -> %s", service_of(environ), operation_of(environ), answer.status)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _ask_moto(self, environ: Environ) -> Answer:
        head: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_rest: Any) -> Any:
            head[:] = [status, headers]

        try:
            body = b"".join(self._moto(environ, start))
        except NotImplementedError as error:
            log.warning("not implemented: %s %s (%s)", service_of(environ), operation_of(environ), error)
            return not_implemented(environ, operation_of(environ))
        except Exception as error:
            # A fault of moto or ours. As a server error it would be retried for minutes and hide itself.
            log.exception("failed: %s %s", service_of(environ), operation_of(environ))
            name = f"{type(error).__name__}: {error}"
            return error_answer(environ, "LocalAwsFault", f"The local AWS failed ({name}): read its log.")
        if is_unrouted(environ, head[0], body):
            log.warning("not implemented: %s %s", service_of(environ), operation_of(environ))
            return not_implemented(environ, operation_of(environ))
        return Answer(head[0], head[1], body)

    def _health(self, start_response: StartResponse) -> list[bytes]:
        body = json.dumps(
            {
                "service": "scones-local-aws",
                "pid": os.getpid(),
                "port": CONTEXT.port,
                "home": str(CONTEXT.home),
                "since": self._since,
                "running": _counts(),
            }
        ).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _counts() -> dict[str, int]:
    """Return what runs, by name; a counter that fails is logged and left out, since the server is well."""
    counts = {}
    for name, count in COUNTERS.items():
        try:
            counts[name] = count()
        except Exception:
            log.exception("failed: counting %s", name)
    return counts


def refusal_of(environ: Environ) -> str | None:
    """Return why the request is refused, None for one of this machine's AWS clients.

    Any web page may send requests to 127.0.0.1, under a name of its own too (DNS rebinding). A browser then
    says where they come from; no AWS client does.
    """
    if "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE", "none") != "none":
        return "The local AWS does not answer web pages."
    if environ.get("HTTP_HOST") not in (f"127.0.0.1:{CONTEXT.port}", f"localhost:{CONTEXT.port}"):
        return f"The local AWS answers as 127.0.0.1:{CONTEXT.port} or localhost:{CONTEXT.port} only."
    if environ.get("PATH_INFO", "").startswith("/moto-api"):
        return "The local AWS has no such interface: state changes through AWS's own operations."
    return None


# Services whose requests all go to one application of moto's, whatever their path and headers.
_ONE_APPLICATION = frozenset(
    (
        "events",
        "iam",
        "lambda",
        "logs",
        "monitoring",
        "s3",
        "sns",
        "sqs",
        "states",
        "sts",
        "application-autoscaling",
    )
)


class _Dispatcher(DomainDispatcherApplication):  # type: ignore[misc]
    """Moto's dispatcher, which would try a few hundred patterns for each request, one request at a time."""

    def __init__(self, create_app: Callable[[Any], Any]) -> None:
        super().__init__(create_app)
        self._known: dict[str, Any] = {}

    def get_application(self, environ: Environ) -> Any:
        service = service_of(environ)
        path = environ.get("PATH_INFO", "")
        if service not in _ONE_APPLICATION or (service == "s3" and path.startswith("/v20180820/")):
            return super().get_application(environ)
        known = self._known.get(service)
        if known is None:
            known = self._known[service] = super().get_application(environ)
        return known


def _create_app(service: Any) -> Any:
    if service is None:
        raise NotImplementedError("moto has no such service")
    return create_backend_app(service)


class _Handler(MotoRequestHandler):  # type: ignore[misc]
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the application logs what failed, and successes would drown it."""


def application() -> Application:
    """Return the one application of this process."""
    global _application
    if _application is None:
        _application = Application()
    return _application


_application: Application | None = None


def make_web_server(port: int) -> BaseWSGIServer:
    """Return a server bound to 127.0.0.1:`port`, not yet serving. Raises OSError if the port is taken."""
    # Bound here, since make_server prints and exits when it cannot.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    server = make_server(
        "127.0.0.1", port, application(), threaded=True, request_handler=_Handler, fd=listener.fileno()
    )
    listener.close()  # the server works on a duplicate
    return server
