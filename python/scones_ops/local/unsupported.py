"""What is not implemented answers at once, with an error that no client retries, and is logged.

Moto answers an unknown operation with a server error, which Terraform and the SDKs retry for minutes.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

Environ = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def service_of(environ: Environ) -> str:
    """Return the signing name of the service that the request is for; "" if it is not signed."""
    try:
        scope = environ.get("HTTP_AUTHORIZATION", "").split("Credential=")[1].split(",")[0]
        return str(scope.split("/")[3])
    except IndexError:
        return ""


def operation_of(environ: Environ) -> str:
    """Return what the request's head tells of the operation: its name, else method and path."""
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return str(target).rsplit(".", 1)[-1]
    action = parse_qs(environ.get("QUERY_STRING", "")).get("Action")
    if action:
        return str(action[0])
    query = environ.get("QUERY_STRING")
    return f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}" + (f"?{query}" if query else "")


def is_unrouted(environ: Environ, status: str, body: bytes) -> bool:
    """Return whether moto's answer only means that it has no such operation: an empty or HTML "not found"."""
    if (
        not status.startswith("404")
        or service_of(environ) in ("", "s3")
        or environ["REQUEST_METHOD"] == "HEAD"
    ):
        return False
    return not body or body.lstrip()[:9].lower() == b"<!doctype"


def not_implemented(environ: Environ, operation: str) -> Answer:
    """Return AWS's answer to an operation that it does not know, in the service's protocol."""
    service = service_of(environ) or "an unsigned request"
    message = f"The local AWS does not implement {operation} of {service}."
    return error_answer(environ, "UnknownOperationException", message)


def error_answer(environ: Environ, code: str, message: str) -> Answer:
    """Return an error (400) as the request's protocol writes it."""
    request_id = str(uuid.uuid4())
    headers = [("x-amzn-RequestId", request_id)]
    content = environ.get("CONTENT_TYPE", "")
    if service_of(environ) == "s3":
        xml = f"<Error><Code>NotImplemented</Code><Message>{escape(message)}</Message></Error>"
    elif content.startswith("application/x-www-form-urlencoded"):
        code = "InvalidAction" if code == "UnknownOperationException" else code
        xml = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>"
            f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    else:
        body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
        headers += [("Content-Type", content or "application/json"), ("x-amzn-errortype", code)]
        return Answer("400 Bad Request", [*headers, ("Content-Length", str(len(body)))], body)
    body = f'<?xml version="1.0" encoding="UTF-8"?>{xml}'.encode()
    headers += [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))]
    return Answer("400 Bad Request", headers, body)
