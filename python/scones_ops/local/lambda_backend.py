"""Lambda: functions that moto only remembers are really run, and what AWS refuses is refused.

Moto's stand-in answers any invocation with its own input; AWS runs the code under the function's role.
"""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.awslambda.responses import LambdaResponse
from moto.awslambda_simple.models import LambdaSimpleBackend, lambda_simple_backends
from moto.core.base_backend import BackendDict

from scones_ops.local import lambda_dead_letters, roles
from scones_ops.local.context import CONTEXT
from scones_ops.local.lambda_checks import check_code, check_configuration, check_create
from scones_ops.local.lambda_logs import tail, write_events
from scones_ops.local.lambda_pool import Pools, Throttled
from scones_ops.local.lambda_types import FunctionSpec, Outcome
from scones_ops.local.web import COUNTERS

log = logging.getLogger("scones.local.lambda")

MAX_REQUEST_BYTES = 6_291_456
MAX_EVENT_BYTES = 1_048_576
# AWS retries a failed asynchronous invocation after one and then two more minutes.
RETRY_SECONDS = (60.0, 120.0)

_pools: Pools


class TooManyRequests(LambdaClientError):  # type: ignore[misc]
    """Reserved concurrency is used up."""

    code = 429

    def __init__(self) -> None:
        super().__init__("TooManyRequestsException", "Rate Exceeded.")


class RequestTooLarge(LambdaClientError):  # type: ignore[misc]
    """The event is over the limit of its invocation type."""

    code = 413

    def __init__(self, limit: int) -> None:
        super().__init__(
            "RequestEntityTooLargeException",
            f"Request must be smaller than {limit} bytes for the InvokeFunction operation",
        )


class InvalidRequestContent(LambdaClientError):  # type: ignore[misc]
    """The event is not JSON."""

    code = 400

    def __init__(self, reason: str) -> None:
        super().__init__(
            "InvalidRequestContentException", f"Could not parse request body into json: {reason}"
        )


class PermissionMissing(LambdaClientError):  # type: ignore[misc]
    """The function's policy does not let the service in."""

    code = 403

    def __init__(self, message: str) -> None:
        super().__init__("AccessDeniedException", message)


def install(home: Path) -> None:
    """Make every function of the local AWS run for real."""
    global _pools
    _pools = Pools(home / "lambda")
    COUNTERS["functions"] = _count_functions
    COUNTERS["lambda workers"] = _pools.count
    LambdaResponse.invoke = _invoke_response
    lambda_dead_letters.install()
    for name in ("put_function_event_invoke_config", "update_function_event_invoke_config"):
        setattr(LambdaBackend, name, _no_event_invoke_config)
    create, configure, recode = (
        LambdaBackend.create_function,
        LambdaBackend.update_function_configuration,
        LambdaBackend.update_function_code,
    )
    delete = LambdaBackend.delete_function

    def create_function(self: LambdaBackend, spec: dict[str, Any]) -> LambdaFunction:
        check_create(self, spec)
        function = create(self, spec)
        try:
            check_code(function)
        except InvalidParameterValueException:
            delete(self, function.function_name)
            raise
        return function

    def update_function_configuration(
        self: LambdaBackend, function_name: str, qualifier: str | None, body: dict[str, Any]
    ) -> Any:
        self.get_function(function_name)
        check_configuration(self.account_id, body)
        return configure(self, function_name, qualifier, body=body)

    def update_function_code(
        self: LambdaBackend, function_name: str, qualifier: str | None, body: dict[str, Any]
    ) -> Any:
        function = self.get_function(function_name)
        before = (function.code_bytes, function.code_size, function.code_sha_256)
        answer = recode(self, function_name, qualifier, body)
        try:
            check_code(function)
        except InvalidParameterValueException:
            function.code_bytes, function.code_size, function.code_sha_256 = before
            raise
        return answer

    def delete_function(self: LambdaBackend, function_name: str, qualifier: str | None = None) -> None:
        function = self.get_function(function_name, qualifier)
        delete(self, function_name, qualifier)
        _pools.forget(function.function_arn)

    for method in (create_function, update_function_configuration, update_function_code, delete_function):
        setattr(LambdaBackend, method.__name__, method)


def close() -> None:
    """End all workers."""
    _pools.close()


def run_function(
    account: str, region: str, name_or_arn: str, payload: bytes, *, qualifier: str | None = None,
    client_context: str | None = None,
) -> Outcome:  # fmt: skip
    """Run the function on the JSON text `payload` and return its outcome; its logs are then in CloudWatch.

    Raises the errors of the Invoke API (UnknownFunctionException, TooManyRequests, …).
    """
    backend = lambda_simple_backends[account][region]
    function = backend.get_function(name_or_arn, qualifier)
    reserved = function.reserved_concurrency
    spec = _spec(function)
    try:
        outcome = _pools.pool(spec).invoke(
            payload, int(reserved) if reserved is not None else None, client_context
        )
    except Throttled:
        raise TooManyRequests from None
    write_events(account, region, spec.log_group, outcome.log_stream, outcome.events)
    return outcome


def invoke_later(account: str, region: str, arn: str, payload: bytes, service: str) -> None:
    """Invoke the function asynchronously for an AWS service, which the function's own policy must let in.

    Raises UnknownFunctionException or PermissionMissing at once; what the function does comes later.
    """
    function = lambda_simple_backends[account][region].get_function(arn)
    statements = {"Statement": function.policy.statements}
    if not roles.policy_lets_in(statements, service, "lambda:InvokeFunction"):
        raise PermissionMissing(f"{service} may not invoke {arn}: its policy does not let it in")
    _later(0.0, _run_asynchronously, account, region, arn, payload, 0)


def _invoke_response(self: LambdaResponse) -> tuple[int, dict[str, str], bytes]:
    """Answer the Invoke API: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"""
    name = unquote(self.path.rsplit("/", 2)[-2])
    qualifier = self._get_param("Qualifier") or self._get_param("qualifier")
    function = self.backend.get_function(name, qualifier)
    kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
    payload = _event_text(self.body, MAX_EVENT_BYTES if kind == "Event" else MAX_REQUEST_BYTES)
    account, region = self.current_account, self.region
    headers = {"Content-Type": "application/json", "X-Amz-Executed-Version": _version_of(function)}
    if kind == "DryRun":
        return 204, headers | {"status": "204"}, b""
    if kind == "Event":
        _later(0.0, _run_asynchronously, account, region, function.function_arn, payload, 0)
        return 202, headers | {"status": "202"}, b""
    outcome = run_function(
        account, region, name, payload, qualifier=qualifier,
        client_context=self.headers.get("X-Amz-Client-Context"),
    )  # fmt: skip
    if outcome.function_error:
        headers["X-Amz-Function-Error"] = outcome.function_error
    if self.headers.get("X-Amz-Log-Type") == "Tail":
        headers["X-Amz-Log-Result"] = tail(outcome.events)
    return 200, headers, outcome.payload


def _no_event_invoke_config(*_request: Any) -> None:
    raise NotImplementedError("retries and destinations of asynchronous invocations cannot be set")


def _event_text(body: str | bytes | None, limit: int) -> bytes:
    """Return the event as JSON bytes, checked as AWS does; no body is an empty event."""
    text = body.encode() if isinstance(body, str) else body or b""
    if len(text) > limit:
        raise RequestTooLarge(limit)
    if not text:
        return b"{}"
    try:
        json.loads(text)
    except ValueError as error:
        raise InvalidRequestContent(str(error)) from None
    return text


def _run_asynchronously(account: str, region: str, arn: str, payload: bytes, attempt: int) -> None:
    code, message = 200, ""
    try:
        outcome = run_function(account, region, arn, payload)
        failed = outcome.function_error
        if failed:
            message = str(json.loads(outcome.payload).get("errorMessage", ""))
    except TooManyRequests as error:
        failed, code, message = "Throttled", error.code, str(error)
    except LambdaClientError as error:
        log.warning("asynchronous invocation of %s dropped: %s", arn, error)
        return
    if not failed:
        return
    if attempt < len(RETRY_SECONDS):
        _later(RETRY_SECONDS[attempt], _run_asynchronously, account, region, arn, payload, attempt + 1)
    else:
        log.warning("asynchronous invocation of %s failed %d times and is given up", arn, attempt + 1)
        function = lambda_simple_backends[account][region].get_function(arn)
        lambda_dead_letters.send_dead_letter(function, payload, code, message)


def _later(seconds: float, action: Any, *arguments: Any) -> None:
    timer = threading.Timer(seconds, action, arguments)
    timer.daemon = True
    timer.start()


def _spec(function: LambdaFunction) -> FunctionSpec:
    return FunctionSpec(
        account=function.account_id,
        region=function.region,
        name=function.function_name,
        version=_version_of(function),
        arn=function.function_arn,
        handler=function.handler or "",
        runtime=function.run_time or "",
        role=function.role,
        timeout=int(function.timeout),
        memory_mb=int(function.memory_size),
        log_group=function.logs_group_name,
        code_sha256=function.code_sha_256,
        environment=tuple(sorted(function.environment_vars.items())),
        code=function.code_bytes,
    )


def _version_of(function: LambdaFunction) -> str:
    """Return the published version, whose number ends its ARN, else "$LATEST", which moto numbers too."""
    return str(function.version) if function.function_arn.count(":") == 7 else "$LATEST"


def _count_functions() -> int:
    backends: BackendDict[LambdaSimpleBackend] = lambda_simple_backends
    return len(list(backends[CONTEXT.account][CONTEXT.region].list_functions()))
