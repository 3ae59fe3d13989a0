"""InvokeEndpoint: passes the body to the variant's container and its answer back, with SageMaker's errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from scones_ops.local.capture import new_exchange
from scones_ops.local.context import CONTEXT
from scones_ops.local.sagemaker_endpoint_fleet import ContainerUnreachable
from scones_ops.local.sagemaker_endpoint_live import LiveEndpoint
from scones_ops.local.sagemaker_endpoint_metrics import Invocation, InvocationMetrics

MOST_BODY_BYTES = 6_291_456

Answer = tuple[int, dict[str, str], str | bytes]
_live: Mapping[str, LiveEndpoint] = {}
_metrics = InvocationMetrics()


def install(live: Mapping[str, LiveEndpoint]) -> None:
    """Patch moto's runtime service to invoke these endpoints, by name."""
    global _live
    _live = live
    # Bodies are pictures; stock moto decodes them as text.
    SageMakerRuntimeResponse.use_raw_body = True
    SageMakerRuntimeResponse.invoke_endpoint = _invoke_endpoint
    SageMakerRuntimeResponse.invoke_endpoint_async = _invoke_endpoint_async


def _invoke_endpoint(self: SageMakerRuntimeResponse) -> Answer:
    name = unquote(self.path.split("/")[2])
    body: bytes = self.raw_body or b""
    if len(body) > MOST_BODY_BYTES:
        return 413, {"status": "413"}, f"HTTP content length exceeded {MOST_BODY_BYTES} bytes."
    live = _live.get(name)
    # Creating, Failed and Deleting look to the runtime as if there were no endpoint.
    container = live.acquire(self.headers.get("X-Amzn-SageMaker-Target-Variant")) if live else None
    if live is None or container is None:
        if live is not None and live.fleet is not None:
            return _error(
                400, "ValidationError", "Variant name in TargetVariant is not part of the endpoint."
            )
        return _error(400, "ValidationError", f"Endpoint {name} of account {CONTEXT.account} not found.")
    started = datetime.now(UTC)
    try:
        response = container.invoke(_passed_on(self.headers), body)
    except ContainerUnreachable as failure:
        _metrics.add(Invocation(name, container.name, 500, datetime.now(UTC) - started))
        return _unreachable(name, failure.timed_out)
    finally:
        container.end()
    _metrics.add(Invocation(name, container.name, response.status, datetime.now(UTC) - started))
    if response.status >= 400:
        return _model_error(name, response.status, response.data.decode(errors="replace"))
    return _success(self.headers, live, container.name, body, response)


def _success(headers: Any, live: LiveEndpoint, variant: str, body: bytes, response: Any) -> Answer:
    answer_type = response.headers.get("Content-Type", "application/octet-stream")
    custom = headers.get("X-Amzn-SageMaker-Custom-Attributes")
    capture = live.capture
    if capture:
        capture.add(
            new_exchange(
                variant=variant,
                content_type=headers.get("Content-Type", "application/octet-stream"),
                body=body,
                answer_type=answer_type,
                answer=response.data,
                inference_id=headers.get("X-Amzn-SageMaker-Inference-Id"),
                custom_attributes=custom,
            )
        )
    told = {"Content-Type": answer_type, "x-Amzn-Invoked-Production-Variant": variant}
    returned = response.headers.get("X-Amzn-SageMaker-Custom-Attributes")
    if returned:
        told["X-Amzn-SageMaker-Custom-Attributes"] = returned
    return 200, told, response.data


def _passed_on(headers: Any) -> dict[str, str]:
    """Return the request's headers that SageMaker lets through to the container."""
    names = ("Content-Type", "Accept", "X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Inference-Id")
    return {name: headers[name] for name in names if headers.get(name)}


def _unreachable(endpoint: str, timed_out: bool) -> Answer:
    if timed_out:
        message = (
            "Your invocation timed out while waiting for a response from container primary. Review the "
            "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
        )
        return _model_error(endpoint, 0, message)
    return _model_error(endpoint, 503, "The container primary closed the connection or is starting again.")


def _model_error(endpoint: str, status: int, message: str) -> Answer:
    """Return ModelError (HTTP 424), which names the container's own status and words."""
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    region, account = CONTEXT.region, CONTEXT.account
    kind = "client" if 400 <= status < 500 else "server"
    return _error(
        424,
        "ModelError",
        f'Received {kind} error ({status}) from primary with message "{message}". See '
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group}"
        f" in account {account} for more information.",
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{region}:{account}:log-group:{group}",
    )


def _error(status: int, code: str, message: str, **more: Any) -> Answer:
    headers = {"status": str(status), "Content-Type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps({"Message": message, **more})


def _invoke_endpoint_async(self: SageMakerRuntimeResponse) -> Answer:
    return _error(
        400,
        "ValidationError",
        "the local AWS does not do InvokeEndpointAsync: use InvokeEndpoint, or TARGET=aws",
    )
