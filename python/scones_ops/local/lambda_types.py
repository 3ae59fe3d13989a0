"""What a Lambda worker is made of and what it answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FunctionSpec:
    """What a worker is made of: one published state of a function. Seconds and megabytes."""

    account: str
    region: str
    name: str
    version: str
    arn: str
    handler: str
    runtime: str
    role: str
    timeout: int
    memory_mb: int
    log_group: str
    code_sha256: str
    environment: tuple[tuple[str, str], ...]
    code: bytes = field(repr=False, compare=False)


@dataclass(frozen=True)
class Outcome:
    """The answer of one invocation: payload, "Unhandled" if it is an error, and the log events around it."""

    request_id: str
    log_stream: str
    payload: bytes
    function_error: str | None
    events: list[tuple[int, str]]


class WorkerGone(Exception):
    """The worker ended before it took the event: another one may be tried."""


def error_answer(error_type: str, message: str) -> tuple[bytes, str]:
    """Return (payload, kind) of an error that the platform, not the function, answers."""
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode(), "Unhandled"


def with_request_id(body: bytes, request_id: str) -> bytes:
    """Return an init error as Invoke answers it: with the id of the request that met it."""
    error = json.loads(body)
    return json.dumps(error | {"requestId": request_id}).encode()
